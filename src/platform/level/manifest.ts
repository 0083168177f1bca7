import { VarintReader } from './varint.ts'

/** What a MANIFEST says there must be. */
export type LevelVersion = {
  /** Commits that are in no table yet are in this log and later ones. */
  readonly logNumber: number
  /** Number to length in bytes. */
  readonly tables: ReadonlyMap<number, number>
}

/**
 * Adds up the edits of a MANIFEST (leveldb, db/version_edit.cc).
 *
 * @throws RangeError when an edit is none, or none names a log
 */
export function addUpEdits(edits: readonly Uint8Array[]): LevelVersion {
  const tables = new Map<number, number>()
  let logNumber: number | null = null
  for (const edit of edits) {
    const reader = new VarintReader(edit)
    while (!reader.isAtEnd) {
      const tag = reader.number()
      if (tag === Tag.logNumber) logNumber = reader.number()
      else if (tag === Tag.comparator) reader.counted()
      else if (NUMBERS.has(tag)) reader.number()
      else if (tag === Tag.compactPointer) {
        reader.number() // level
        reader.counted()
      } else if (tag === Tag.deletedFile) {
        reader.number() // level
        tables.delete(reader.number())
      } else if (tag === Tag.newFile) {
        reader.number() // level
        tables.set(reader.number(), reader.number())
        reader.counted() // smallest key
        reader.counted() // largest key
      } else throw new RangeError(`unknown tag ${tag}`)
    }
  }
  if (logNumber === null) throw new RangeError('it names no log')
  return { logNumber, tables }
}

const Tag = { comparator: 1, logNumber: 2, compactPointer: 5, deletedFile: 6, newFile: 7 } as const

/** Next file number, last sequence, previous log. */
const NUMBERS: ReadonlySet<number> = new Set([3, 4, 9])
