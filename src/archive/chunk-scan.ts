import { MalformedMediaError } from '../domain/errors.ts'
import { parseFragmentNumber, type FragmentNumberParts } from '../domain/fragment.ts'
import { epochMs, rescaleTicks, type EpochMs } from '../domain/time.ts'
import {
  BLOCK_HEAD_BYTES,
  parseBlock,
  parseBlockHead,
  type BlockHead,
} from '../media/matroska/block.ts'
import { ElementId, endsUnknownCluster } from '../media/matroska/element-id.ts'
import type { MatroskaHeader } from '../media/matroska/header.ts'
import { parseTags, type TagPair } from '../media/matroska/tags.ts'
import { readUnsigned } from '../media/matroska/value.ts'
import { readElementHead, UNKNOWN_SIZE, type ElementHead } from '../media/matroska/vint.ts'
import { FRAGMENT_NUMBER_TAG, PRODUCER_TIMESTAMP_TAG } from '../media/matroska/writer.ts'
import { parseNote, type ChunkNote } from './chunk-layout.ts'
import type { ChunkStoreFile } from './chunk-store.ts'
import type { FragmentRow } from './fragment-row.ts'

/** A fragment as its bytes in a chunk tell it. */
export type ScannedFragment = FragmentNumberParts & {
  readonly producerTimestamp: EpochMs
  readonly offset: number
  /** Behind its last whole element. */
  readonly end: number
  /** `closed`: a closing record followed; `abandoned`: given up; `torn`: neither. */
  readonly state: 'closed' | 'abandoned' | 'torn'
  /** The closing record's. */
  readonly row: FragmentRow | null
  readonly startsWithKey: boolean
  readonly hasProducerTags: boolean
  readonly sampleCount: number
  /** From the earliest frame to the latest, and one frame more. */
  readonly durationMs: number
  /** Where the size of its Cluster stands, if that claims more bytes than there are. */
  readonly cutClusterSize: { readonly offset: number; readonly width: number } | null
}

export type ChunkScan = {
  readonly fragments: readonly ScannedFragment[]
  /** Behind the last whole element; what follows is a torn one or no Matroska at all. */
  readonly end: number
  /** Where the ending of a finished chunk begins: its Cues; `null` when there is none. */
  readonly endingAt: number | null
}

/**
 * Walks a chunk's elements from `from`, which is where a fragment may begin, to the first that is
 * not whole. Never throws for damaged bytes: they end the walk. Holds a window of the file in
 * memory, not the file.
 */
export async function scanChunk(
  file: ChunkStoreFile,
  from: number,
  header: MatroskaHeader,
): Promise<ChunkScan> {
  const walk = new ChunkWalk(new FileWindow(file, await file.size()), header)
  let at = from
  try {
    for (let next = await walk.step(at); next !== null; next = await walk.step(at)) at = next
  } catch (error) {
    if (!(error instanceof MalformedMediaError)) throw error
  }
  return { fragments: walk.finish(at), end: at, endingAt: walk.endingAt }
}

class ChunkWalk {
  readonly #window: FileWindow
  readonly #header: MatroskaHeader
  readonly #fragments: ScannedFragment[] = []
  #fragment: OpenFragment | null = null
  #cluster: OpenCluster | null = null
  #endingAt: number | null = null

  constructor(window: FileWindow, header: MatroskaHeader) {
    this.#window = window
    this.#header = header
  }

  get endingAt(): number | null {
    return this.#endingAt
  }

  /** Takes the element at `at`; answers where the next begins, `null` when it is not whole. */
  async step(at: number): Promise<number | null> {
    if (this.#cluster?.end === at) this.#cluster = null
    const head = await this.#window.head(at)
    if (head === null) return null
    if (this.#cluster?.end === null && endsUnknownCluster(head.id)) this.#cluster = null
    return this.#cluster === null
      ? this.#besideClusters(head)
      : this.#inCluster(head, this.#cluster)
  }

  /** The fragments in file order; one that nothing followed ends at `end`. */
  finish(end: number): readonly ScannedFragment[] {
    const claimed = this.#cluster?.end ?? 0
    if (this.#cluster !== null && claimed > end && this.#fragment !== null) {
      this.#fragment.cutClusterSize = this.#cluster.size
    }
    this.#close('torn', null)
    return this.#fragments
  }

  async #besideClusters(head: ElementHead): Promise<number | null> {
    if (head.id === ElementId.Cluster) {
      const end = head.size === UNKNOWN_SIZE ? null : head.dataOffset + head.size
      const size = { offset: head.sizeOffset, width: head.dataOffset - head.sizeOffset }
      this.#cluster = { end, size, timecode: null }
      return head.dataOffset
    }
    // A producer's own Cues lie in its fragment, before the note that closes it.
    if (head.id === ElementId.Cues && this.#fragment === null) this.#endingAt ??= head.offset
    const payload = await this.#window.payload(head)
    if (payload === null) return null
    const end = head.dataOffset + head.size
    if (head.id === ElementId.Tags) this.#takeTags(head, payload)
    else if (head.id !== ElementId.Void || !this.#takeNote(head, payload)) this.#extendTo(end)
    return end
  }

  async #inCluster(head: ElementHead, cluster: OpenCluster): Promise<number | null> {
    const end = head.dataOffset + head.size
    if (head.size === UNKNOWN_SIZE || (cluster.end !== null && end > cluster.end)) {
      throw new MalformedMediaError('child reaches past its Cluster', {
        offset: head.offset,
        path: 'Segment/Cluster',
      })
    }
    if (end > this.#window.fileBytes) return null
    if (head.id === ElementId.SimpleBlock) {
      const start = await this.#window.view(head.dataOffset, Math.min(BLOCK_HEAD_BYTES, head.size))
      this.#takeBlock(parseBlockHead(start), cluster)
    } else if (head.id === ElementId.BlockGroup) {
      const group = await this.#window.view(head.offset, end - head.offset)
      const block = parseBlock(group, readElementHead(group, 0)!)
      this.#takeBlock({ ...block, frameCount: block.frames.length }, cluster)
    } else if (head.id === ElementId.Timecode) {
      const timecode = await this.#window.view(head.offset, end - head.offset)
      cluster.timecode = readUnsigned(timecode, readElementHead(timecode, 0)!)
    } else if (head.id === ElementId.Void) {
      if (this.#takeNote(head, (await this.#window.payload(head))!)) return end
    }
    this.#extendTo(end)
    return end
  }

  #takeTags(head: ElementHead, payload: Uint8Array): void {
    const pairs = parseTags(payload, { ...head, dataOffset: 0 })
    const start = toFragmentStart(pairs)
    if (start === null) {
      if (this.#fragment !== null) this.#fragment.hasProducerTags = true
    } else {
      this.#close('torn', null)
      this.#fragment = new OpenFragment(start, head.offset)
    }
    this.#extendTo(head.dataOffset + head.size)
  }

  /** Whether the Void was one of our notes about the fragment that ends here. */
  #takeNote(head: ElementHead, payload: Uint8Array): boolean {
    const note = parseNote(payload)
    const fragment = this.#fragment
    if (note === null) return false
    if (fragment === null) return this.#takeDeleted(head, note)
    if (note.kind === 'abandoned') {
      this.#close('abandoned', null)
      return true
    }
    const { counter, offset, length } = note.row
    const fits = counter === fragment.start.counter && offset === fragment.offset
    if (!fits || offset + length !== head.offset) return false
    this.#close('closed', note.row)
    return true
  }

  /** Only the note is left of a fragment that was deleted. */
  #takeDeleted(head: ElementHead, note: ChunkNote): boolean {
    if (note.kind !== 'closing' || !note.row.deleted) return false
    const { row } = note
    const end = row.offset + row.length
    if (end !== head.offset) return false
    const { counter, serverTimestamp, random28, producerTimestamp, offset } = row
    const { startsWithKey, hasProducerTags, sampleCount, durationMs } = row
    this.#fragments.push({
      ...{ counter, serverTimestamp, random28, producerTimestamp, offset, end, row },
      ...{ startsWithKey, hasProducerTags, sampleCount, durationMs },
      ...{ state: 'closed', cutClusterSize: null },
    })
    return true
  }

  #takeBlock(block: BlockHead, cluster: OpenCluster): void {
    this.#fragment?.blocks.add(block, cluster.timecode ?? 0, this.#header)
  }

  #extendTo(end: number): void {
    if (this.#fragment !== null) this.#fragment.end = end
  }

  #close(state: ScannedFragment['state'], row: FragmentRow | null): void {
    const fragment = this.#fragment
    if (fragment === null) return
    const { start, offset, end, hasProducerTags, cutClusterSize, blocks } = fragment
    this.#fragments.push({
      ...{ ...start, offset, end, state, row, hasProducerTags, cutClusterSize },
      startsWithKey: blocks.startsWithKey,
      sampleCount: blocks.count,
      durationMs: blocks.durationMs(this.#header.timecodeScaleNs),
    })
    this.#fragment = null
    this.#cluster = null
  }
}

type FragmentTimes = FragmentNumberParts & { readonly producerTimestamp: EpochMs }

type OpenCluster = {
  /** `null`: of unknown size. */
  readonly end: number | null
  readonly size: { readonly offset: number; readonly width: number }
  timecode: number | null
}

class OpenFragment {
  readonly start: FragmentTimes
  readonly offset: number
  readonly blocks = new BlockTimes()
  end: number
  hasProducerTags = false
  cutClusterSize: OpenCluster['size'] | null = null

  constructor(start: FragmentTimes, offset: number) {
    this.start = start
    this.offset = offset
    this.end = offset
  }
}

/** Sums up blocks without keeping them. */
class BlockTimes {
  count = 0
  startsWithKey = false
  #earliest = Infinity
  #latest = -Infinity
  /** The track that says what one frame lasts: the first video, else the first seen. */
  #paceTrack = 0
  #paceCount = 0
  #paceFirst = 0
  #paceLast = 0

  add(block: BlockHead, timecode: number, header: MatroskaHeader): void {
    const { trackNumber, isKey } = block
    const ticks = timecode + block.relativeTicks
    if (this.#paceTrack === 0) {
      const video = header.tracks.find(({ kind }) => kind === 'video')
      this.#paceTrack = video?.number ?? trackNumber
    }
    if (trackNumber === this.#paceTrack) {
      if (this.#paceCount === 0) {
        this.startsWithKey = isKey
        this.#paceFirst = ticks
        this.#paceLast = ticks
      }
      this.#paceCount++
      this.#paceFirst = Math.min(this.#paceFirst, ticks)
      this.#paceLast = Math.max(this.#paceLast, ticks)
    }
    this.count += block.frameCount
    this.#earliest = Math.min(this.#earliest, ticks)
    this.#latest = Math.max(this.#latest, ticks)
  }

  durationMs(timecodeScaleNs: number): number {
    if (this.count === 0) return 0
    const paced = this.#paceLast - this.#paceFirst
    const frame = this.#paceCount > 1 ? Math.round(paced / (this.#paceCount - 1)) : 0
    return rescaleTicks(this.#latest - this.#earliest + frame, 1_000_000, timecodeScaleNs)
  }
}

/** `null` when these are not the Tags that begin an archived fragment. */
function toFragmentStart(pairs: readonly TagPair[]): FragmentTimes | null {
  const value = (name: string) => pairs.find((pair) => pair.name === name)?.value ?? ''
  const number = parseFragmentNumber(value(FRAGMENT_NUMBER_TAG))
  const seconds = /^(-?)(\d{1,12})\.(\d{3})$/.exec(value(PRODUCER_TIMESTAMP_TAG))
  if (number === null || seconds === null) return null
  const [, sign, whole, thousandths] = seconds
  const milliseconds = Number(whole) * 1000 + Number(thousandths)
  return { ...number, producerTimestamp: epochMs(sign === '-' ? 0 - milliseconds : milliseconds) }
}

const WINDOW_BYTES = 256 * 1024

/** Longest element beside Clusters that is looked into; longer ones are stepped over. */
const MAX_INSPECTED_BYTES = 1024 * 1024

/** Reads a file forwards in large pieces and hands out small views. */
class FileWindow {
  readonly fileBytes: number
  readonly #file: ChunkStoreFile
  #start = 0
  #bytes: Uint8Array = new Uint8Array(0)
  /** For every window of the usual length. */
  readonly #memory = Buffer.allocUnsafeSlow(WINDOW_BYTES)

  constructor(file: ChunkStoreFile, fileBytes: number) {
    this.#file = file
    this.fileBytes = fileBytes
  }

  /** `length` bytes at `offset`, fewer where the file ends. Valid until the next call. */
  async view(offset: number, length: number): Promise<Uint8Array> {
    const end = Math.min(offset + length, this.fileBytes)
    if (offset < this.#start || end > this.#start + this.#bytes.length) {
      const isUsual = length <= WINDOW_BYTES
      this.#bytes = isUsual
        ? await this.#file.read(offset, WINDOW_BYTES, this.#memory)
        : await this.#file.read(offset, length)
      this.#start = offset
    }
    return this.#bytes.subarray(offset - this.#start, Math.max(end - this.#start, 0))
  }

  /** With offsets in the file. */
  async head(offset: number): Promise<ElementHead | null> {
    const head = readElementHead(await this.view(offset, 12), 0)
    if (head === null) return null
    const { id, size } = head
    return {
      id,
      size,
      offset,
      sizeOffset: offset + head.sizeOffset,
      dataOffset: offset + head.dataOffset,
    }
  }

  /** `null` when the element reaches past the file's end; empty when it is too long to look at. */
  async payload(head: ElementHead): Promise<Uint8Array | null> {
    if (head.size === UNKNOWN_SIZE || head.dataOffset + head.size > this.fileBytes) return null
    if (head.size > MAX_INSPECTED_BYTES) return new Uint8Array(0)
    return this.view(head.dataOffset, head.size)
  }
}
