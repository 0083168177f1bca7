import { ElementId } from './element-id.ts'
import { readUnsigned } from './value.ts'
import { readElementHead, UNKNOWN_SIZE, type ElementHead } from './vint.ts'
import { concat, element, voidElement } from './writer.ts'

/**
 * The same header with another CodecPrivate for one of its tracks (RFC 9559 §5.1.4.1.26). All else is
 * kept byte for byte but for what would not hold any more: a SeekHead becomes Void, and CRC-32 of what
 * changes goes.
 *
 * @param header one that `parseWholeHeader` reads
 */
export function withCodecPrivate(
  header: Uint8Array,
  trackNumber: number,
  codecPrivate: Uint8Array,
): Uint8Array {
  const ebml = readElementHead(header, 0)!
  const segment = readElementHead(header, ebml.dataOffset + ebml.size)!
  const parts = [header.subarray(0, segment.dataOffset)]
  for (const head of childrenOf(header, segment)) {
    if (head.id === ElementId.Tracks) {
      parts.push(element(ElementId.Tracks, rewriteTracks(header, head, trackNumber, codecPrivate)))
    } else if (head.id === ElementId.SeekHead) {
      parts.push(voidElement(head.dataOffset + head.size - head.offset))
    } else if (head.id !== ElementId.Crc32) {
      parts.push(bytesOf(header, head))
    }
  }
  return concat(parts)
}

function rewriteTracks(
  header: Uint8Array,
  tracks: ElementHead,
  trackNumber: number,
  codecPrivate: Uint8Array,
): readonly Uint8Array[] {
  const parts: Uint8Array[] = []
  for (const entry of childrenOf(header, tracks)) {
    if (entry.id === ElementId.Crc32) continue
    const fields = [...childrenOf(header, entry)]
    const number = fields.find(({ id }) => id === ElementId.TrackNumber)
    if (number === undefined || readUnsigned(header, number) !== trackNumber) {
      parts.push(bytesOf(header, entry))
      continue
    }
    const kept = fields.filter(({ id }) => id !== ElementId.CodecPrivate && id !== ElementId.Crc32)
    parts.push(
      element(ElementId.TrackEntry, [
        ...kept.map((field) => bytesOf(header, field)),
        element(ElementId.CodecPrivate, [codecPrivate]),
      ]),
    )
  }
  return parts
}

function* childrenOf(header: Uint8Array, parent: ElementHead): Generator<ElementHead> {
  const end = parent.size === UNKNOWN_SIZE ? header.length : parent.dataOffset + parent.size
  for (let offset = parent.dataOffset; offset < end;) {
    const head = readElementHead(header, offset)!
    yield head
    offset = head.dataOffset + head.size
  }
}

function bytesOf(header: Uint8Array, { offset, dataOffset, size }: ElementHead): Uint8Array {
  return header.subarray(offset, dataOffset + size)
}
