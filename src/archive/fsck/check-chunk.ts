import { crc32 } from 'node:zlib'
import { toFragmentNumber } from '../../domain/fragment.ts'
import type { ElementHead } from '../../media/matroska/vint.ts'
import { validateMatroska } from '../../media/matroska/validate.ts'
import { parseNote } from '../chunk-layout.ts'
import type { ChunkStoreFile } from '../chunk-store.ts'
import type { FragmentRow } from '../fragment-row.ts'
import type { FsckFinding } from './finding.ts'

export type ChunkCheck = {
  readonly findings: readonly Pick<FsckFinding, 'code' | 'detail'>[]
  readonly fragments: number
}

/** Called after each read, with its length: waits where the check must not be fast. */
export type ReadPace = (bytes: number) => Promise<void>

export const asFastAsPossible: ReadPace = async () => undefined

const CHECK_BYTES = 256 * 1024

/**
 * Reads every byte of a finished chunk: its elements, that each note is about the fragment before it,
 * and each fragment's checksum.
 */
export async function checkChunkBytes(
  media: ChunkStoreFile,
  pace: ReadPace = asFastAsPossible,
): Promise<ChunkCheck> {
  const source = {
    bytes: await media.size(),
    read: async (position: number, length: number) => {
      const read = await media.read(position, length)
      await pace(read.length)
      return read
    },
  }
  const notes: { readonly row: FragmentRow; readonly head: ElementHead }[] = []
  let abandoned = 0
  const { findings, fragments } = await validateMatroska(source, {
    layout: 'fragments',
    tail: 'whole',
    onVoid: (head, payload) => {
      const note = parseNote(payload)
      if (note?.kind === 'abandoned') abandoned++
      if (note?.kind === 'closing') notes.push({ row: note.row, head })
    },
  })
  const found: Pick<FsckFinding, 'code' | 'detail'>[] = findings.map((finding) => ({
    code: 'media',
    detail: `${finding.code} at byte ${finding.offset}, in ${finding.path}: ${finding.detail}`,
  }))
  const numberAt = new Map(fragments.map(({ offset, fragmentNumber }) => [offset, fragmentNumber]))
  for (const { row, head } of notes) {
    const isAbout = row.deleted || numberAt.get(row.offset) === toFragmentNumber(row)
    if (isAbout && row.offset + row.length === head.offset) continue
    const detail = `the note at byte ${head.offset} is about another fragment`
    found.push({ code: 'note', detail })
  }
  const present = notes.filter(({ row }) => !row.deleted).length
  if (findings.length === 0 && present + abandoned < fragments.length) {
    const detail = `${fragments.length - present - abandoned} fragments without a note`
    found.push({ code: 'note', detail })
  }
  for (const { row } of notes) {
    if (await isAsWritten(source, row)) continue
    const detail = `fragment ${toFragmentNumber(row)}, ${row.length} bytes at ${row.offset}`
    found.push({ code: 'checksum', detail })
  }
  return { findings: found, fragments: notes.length }
}

async function isAsWritten(
  source: { read(position: number, length: number): Promise<Uint8Array> },
  row: FragmentRow,
): Promise<boolean> {
  if (row.checksum === null || row.deleted) return true
  let checksum = 0
  for (let at = 0; at < row.length; at += CHECK_BYTES) {
    const length = Math.min(CHECK_BYTES, row.length - at)
    checksum = crc32(await source.read(row.offset + at, length), checksum)
  }
  return checksum === row.checksum
}
