import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ElementId } from '../../src/media/matroska/element-id.ts'
import { validateMatroska } from '../../src/media/matroska/validate.ts'
import { parseHeader, scanElements, toSamples } from '../../src/media/matroska/scanner.ts'

/** Paths of all chunk files below a directory. */
export async function chunkFiles(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory, { recursive: true })
  return names.filter((name) => name.endsWith('.mkv')).map((name) => join(directory, name))
}

/**
 * Throws unless the file is Matroska to its last byte, laid out as chunks are, with whole Clusters
 * whose blocks can be read.
 */
export async function checkChunk(path: string): Promise<void> {
  const bytes = await readFile(path)
  checkChunkBytes(path, bytes)
  const source = {
    bytes: bytes.length,
    read: async (at: number, length: number) => bytes.subarray(at, at + length),
  }
  const { findings } = await validateMatroska(source, { layout: 'fragments', tail: 'whole' })
  if (findings.length > 0) throw new Error(`${path}: ${JSON.stringify(findings)}`)
}

/** The same for bytes that come from elsewhere. */
export function checkChunkBytes(path: string, bytes: Uint8Array): void {
  const header = parseHeader(bytes)
  let end = 0
  for (const element of scanElements(bytes)) {
    end = element.end
    if (element.id !== ElementId.Cluster) continue
    if (header === null) throw new Error(`${path}: Cluster without header`)
    toSamples(bytes.subarray(element.offset, element.end), header.tracks)
  }
  if (end !== bytes.length) throw new Error(`${path}: ends at ${end} of ${bytes.length}`)
}
