import { MalformedMediaError } from '../../domain/errors.ts'
import { ElementId } from './element-id.ts'
import { readUnsigned } from './value.ts'
import { readElementHead, readElementSize, UNKNOWN_SIZE, type ElementHead } from './vint.ts'

/** One SimpleBlock or BlockGroup (RFC 9559 §10), its frames not copied. */
export type Block = {
  readonly trackNumber: number
  /** To the Cluster's Timecode, in ticks of TimecodeScale. */
  readonly relativeTicks: number
  readonly isKey: boolean
  /** Of the whole block, in ticks; `null` when the block does not say. */
  readonly durationTicks: number | null
  /** One, unless the block is laced. */
  readonly frames: readonly Uint8Array[]
}

/** Reads a SimpleBlock or a BlockGroup that lies in `bytes` whole. */
export function parseBlock(bytes: Uint8Array, head: ElementHead): Block {
  return head.id === ElementId.SimpleBlock
    ? parseBlockBody(bytes, head, null)
    : parseBlockGroup(bytes, head)
}

function parseBlockGroup(bytes: Uint8Array, group: ElementHead): Block {
  const end = group.dataOffset + group.size
  let block: ElementHead | null = null
  let durationTicks: number | null = null
  let isKey = true // no ReferenceBlock: depends on nothing (§10.3)
  for (let offset = group.dataOffset; offset < end;) {
    const head = readElementHead(bytes, offset, end)
    if (head === null || head.size === UNKNOWN_SIZE || head.dataOffset + head.size > end) {
      throw malformed('child reaches past its BlockGroup', offset)
    }
    if (head.id === ElementId.Block) block = head
    if (head.id === ElementId.BlockDuration) durationTicks = readUnsigned(bytes, head)
    if (head.id === ElementId.ReferenceBlock) isKey = false
    offset = head.dataOffset + head.size
  }
  if (block === null) throw malformed('BlockGroup without Block', group.offset)
  return { ...parseBlockBody(bytes, block, isKey), durationTicks }
}

/**
 * ```
 * track number (vint) | int16 relative time | flags | [lacing] | frames
 *                                             80h key (SimpleBlock only), 06h lacing
 * ```
 *
 * @param isKey `null`: as the flags say
 */
function parseBlockBody(bytes: Uint8Array, head: ElementHead, isKey: boolean | null): Block {
  const end = head.dataOffset + head.size
  const track = readElementSize(bytes, head.dataOffset, end)
  const at = head.dataOffset + (track?.width ?? 0)
  if (track === null || track.size < 1 || at + 3 > end) {
    throw malformed('block is too short or names no track', head.offset)
  }
  const flags = bytes[at + 2]!
  return {
    trackNumber: track.size,
    relativeTicks: ((bytes[at]! << 24) >> 16) | bytes[at + 1]!,
    isKey: isKey ?? (flags & 0x80) !== 0,
    durationTicks: null,
    frames:
      (flags & 0x06) === 0
        ? [bytes.subarray(at + 3, end)]
        : readLacedFrames(bytes.subarray(0, end), at + 3, (flags & 0x06) >> 1),
  }
}

/** Splits a block's payload by its lacing (RFC 9559 §10.3). */
function readLacedFrames(body: Uint8Array, start: number, lacing: number): readonly Uint8Array[] {
  const count = body[start]
  if (count === undefined) throw malformed('laced block without a frame count', start)
  let at = start + 1
  const sizes: number[] = []

  if (lacing === 1) {
    // Xiph: each size is a run of 255s and what is left
    for (let i = 0; i < count; i++) {
      let size = 0
      let byte = 255
      while (byte === 255) {
        if (at >= body.length) throw malformed('Xiph lacing is cut', start)
        byte = body[at++]!
        size += byte
      }
      sizes.push(size)
    }
  } else if (lacing === 3) {
    // EBML: the first size as it is, then differences, biased so that they may be negative
    for (let i = 0; i < count; i++) {
      const value = readElementSize(body, at)
      if (value === null || value.size === UNKNOWN_SIZE)
        throw malformed('EBML lacing is cut', start)
      at += value.width
      const bias = 2 ** (7 * value.width - 1) - 1
      sizes.push(i === 0 ? value.size : sizes[i - 1]! + value.size - bias)
    }
  } else {
    const size = (body.length - at) / (count + 1)
    for (let i = 0; i < count; i++) sizes.push(size)
  }

  const laced = sizes.reduce((sum, size) => sum + size, 0)
  const last = body.length - at - laced
  if (last < 0 || sizes.some((size) => size < 0 || !Number.isInteger(size))) {
    throw malformed('lacing does not fit the block', start)
  }
  return [...sizes, last].map((size) => {
    const frame = body.subarray(at, at + size)
    at += size
    return frame
  })
}

function malformed(message: string, offset: number): MalformedMediaError {
  return new MalformedMediaError(message, { offset, path: 'Segment/Cluster/Block' })
}

/** What a SimpleBlock says before its frames. */
export type BlockHead = Omit<Block, 'frames' | 'durationTicks'> & { readonly frameCount: number }

/** Longest beginning of a SimpleBlock's payload that {@link parseBlockHead} looks at. */
export const BLOCK_HEAD_BYTES = 12

/**
 * Reads the beginning of a SimpleBlock's payload.
 *
 * @param start its first bytes, {@link BLOCK_HEAD_BYTES} where there are so many
 */
export function parseBlockHead(start: Uint8Array): BlockHead {
  const track = readElementSize(start, 0)
  const at = track?.width ?? 0
  if (track === null || track.size < 1 || at + 3 > start.length) {
    throw malformed('block is too short or names no track', 0)
  }
  const flags = start[at + 2]!
  return {
    trackNumber: track.size,
    relativeTicks: ((start[at]! << 24) >> 16) | start[at + 1]!,
    isKey: (flags & 0x80) !== 0,
    frameCount: (flags & 0x06) === 0 ? 1 : (start[at + 3] ?? 0) + 1,
  }
}
