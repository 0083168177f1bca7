import { MalformedMediaError } from '../../domain/errors.ts'
import { ElementId } from './element-id.ts'
import { readText } from './value.ts'
import { readElementHead, UNKNOWN_SIZE, type ElementHead } from './vint.ts'

export type TagPair = { readonly name: string; readonly value: string }

/**
 * The names and values of all SimpleTags in a Tags element that lies in `bytes` whole (RFC 9559
 * §5.1.8), in file order, whatever their Targets.
 */
export function parseTags(bytes: Uint8Array, tags: ElementHead): readonly TagPair[] {
  const pairs: TagPair[] = []
  readInto(pairs, bytes, tags)
  return pairs
}

function readInto(pairs: TagPair[], bytes: Uint8Array, parent: ElementHead): void {
  const end = parent.dataOffset + parent.size
  let name: string | null = null
  let value = ''
  for (let offset = parent.dataOffset; offset < end;) {
    const head = readElementHead(bytes.subarray(0, end), offset)
    if (head === null || head.size === UNKNOWN_SIZE || head.dataOffset + head.size > end) {
      throw new MalformedMediaError('tag reaches past its parent', { offset, path: 'Tags' })
    }
    if (head.id === ElementId.Tag && parent.id === ElementId.Tags) readInto(pairs, bytes, head)
    if (head.id === ElementId.SimpleTag && parent.id === ElementId.Tag) readInto(pairs, bytes, head)
    if (head.id === ElementId.TagName) name = readText(bytes, head)
    if (head.id === ElementId.TagString) value = readText(bytes, head)
    offset = head.dataOffset + head.size
  }
  if (parent.id === ElementId.SimpleTag && name !== null) pairs.push({ name, value })
}
