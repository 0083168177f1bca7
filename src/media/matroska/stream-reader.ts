import { MalformedMediaError, ServiceError } from '../../domain/errors.ts'
import { parseBlock } from './block.ts'
import { ElementId, elementName, endsUnknownCluster } from './element-id.ts'
import { ElementInput } from './element-input.ts'
import { parseWholeHeader, toOpenHeader, type MatroskaHeader } from './header.ts'
import { parseTags, type TagPair } from './tags.ts'
import { readUnsigned } from './value.ts'
import { readElementHead, toUnknownSize, UNKNOWN_SIZE, type ElementHead } from './vint.ts'
import { concat, FRAGMENT_NUMBER_TAG } from './writer.ts'

/**
 * What a Matroska stream says, element by element (RFC 9559 §4.5). `bytes` are those of the stream,
 * on buffers that are not written again, but for one thing: Segments and Clusters have an unknown
 * size (in as many bytes), because what is kept may be less than their producer announced.
 */
export type StreamEvent =
  /** Everything before the first Cluster; a concatenated document brings another one. */
  | { readonly type: 'header'; readonly bytes: Uint8Array; readonly header: MatroskaHeader }
  /** A Cluster's start, its Timecode, and whatever stood between. */
  | { readonly type: 'cluster'; readonly bytes: Uint8Array; readonly timecode: number }
  /** A SimpleBlock or BlockGroup. */
  | {
      readonly type: 'block'
      readonly bytes: Uint8Array
      readonly trackNumber: number
      /** To the Cluster's Timecode. */
      readonly relativeTicks: number
      readonly isKey: boolean
      readonly frames: number
      /** Of the frames alone. */
      readonly payloadBytes: number
    }
  /** Another child of a Cluster: Position, PrevSize, Void, ... */
  | { readonly type: 'other'; readonly bytes: Uint8Array }
  /** The Cluster's end is known: of its size, or because something else begins. */
  | { readonly type: 'cluster-end' }
  /** Between Clusters. */
  | { readonly type: 'tags'; readonly bytes: Uint8Array; readonly pairs: readonly TagPair[] }

export type StreamLimits = {
  readonly maxHeaderBytes: number
  /** Of a block or a Tags element: what is buffered at most, once its bytes come. */
  readonly maxElementBytes: number
}

/**
 * Reads Matroska as it arrives, in pieces of any size. Holds one element at most, and only as much of
 * it as has come: an announced size reserves nothing.
 */
export class MatroskaStreamReader {
  readonly #limits: StreamLimits
  readonly #input = new ElementInput()
  #state: State = 'ebml'
  /** Of the document whose Clusters have not begun. */
  #header: Uint8Array[] = []
  #headerBytes = 0
  /** Beginning of a Cluster whose Timecode has not come. */
  #clusterStart: Uint8Array[] | null = null
  /** Stream offset at which the Cluster ends; `null`: where something else begins. */
  #clusterEnd: number | null = null

  constructor(limits: StreamLimits) {
    this.#limits = limits
  }

  /**
   * Takes the next bytes, which must not be written again.
   *
   * @throws MalformedMediaError with the offset in the stream; ServiceError
   *   `limit-exceeded`/`HeaderTooLarge`, `ElementTooLarge`. Nothing can be read afterwards.
   */
  push(bytes: Uint8Array): readonly StreamEvent[] {
    this.#input.push(bytes)
    const events: StreamEvent[] = []
    while (this.#step(events));
    this.#input.settle()
    return events
  }

  /**
   * The stream has ended.
   *
   * @returns what its end completes, and whether it ended between elements
   */
  end(): { readonly events: readonly StreamEvent[]; readonly isWhole: boolean } {
    const isCut = !this.#input.isEmpty || this.#clusterStart !== null || this.#clusterEnd !== null
    const events: StreamEvent[] = []
    if (this.#state === 'cluster') this.#endCluster(events)
    return { events, isWhole: !isCut && this.#state === 'segment' }
  }

  /** @returns whether there may be more to read now */
  #step(events: StreamEvent[]): boolean {
    if (this.#state === 'cluster' && this.#clusterEnd === this.#input.offset) {
      this.#endCluster(events)
    }
    const head = this.#input.head()
    if (head === null) return false
    switch (this.#state) {
      case 'ebml':
      case 'segment-start':
      case 'header':
        return this.#readHeader(head, events)
      case 'segment':
        return this.#readBetweenClusters(head, events)
      case 'cluster':
        return this.#readInCluster(head, events)
    }
  }

  #readHeader(head: ElementHead, events: StreamEvent[]): boolean {
    if (this.#state === 'ebml') {
      if (head.id !== ElementId.Ebml) throw this.#malformed('no EBML header', 'EBML')
      if (!this.#keepInHeader(head)) return false
      this.#state = 'segment-start'
      return true
    }
    if (this.#state === 'segment-start') {
      if (head.id !== ElementId.Segment) {
        throw this.#malformed('no Segment after the EBML header', 'EBML')
      }
      this.#addToHeader(this.#input.take(head.dataOffset))
      this.#state = 'header'
      return true
    }
    if (head.id === ElementId.Tags) return this.#readHeaderTags(head)
    if (head.id !== ElementId.Cluster) return this.#keepInHeader(head)
    const bytes = concat(this.#header)
    const header = this.#parseHeader(bytes)
    this.#header = []
    this.#headerBytes = 0
    events.push({ type: 'header', bytes: toOpenHeader(bytes), header })
    this.#state = 'segment'
    return true
  }

  /**
   * A producer's own Tags belong to its header. Those of a fragment that GetMedia delivered do not:
   * what is sent here again gets a number of its own.
   */
  #readHeaderTags(head: ElementHead): boolean {
    const bytes = this.#takeElement(head, 'Segment')
    if (bytes === null) return false
    if (this.#headerBytes + bytes.length > this.#limits.maxHeaderBytes) throw this.#headerTooLarge()
    const isOfFragment = this.#parseTags(bytes).some(({ name }) => name === FRAGMENT_NUMBER_TAG)
    if (!isOfFragment) this.#addToHeader(bytes)
    return true
  }

  /** Waits for the whole element. */
  #keepInHeader(head: ElementHead): boolean {
    const length = this.#wholeLength(head, 'Segment')
    if (this.#headerBytes + length > this.#limits.maxHeaderBytes) {
      throw this.#headerTooLarge()
    }
    const bytes = this.#input.takeWhole(length)
    if (bytes !== null) this.#addToHeader(bytes)
    return bytes !== null
  }

  #headerTooLarge(): ServiceError {
    return tooLarge('HeaderTooLarge', 'the header', this.#limits.maxHeaderBytes)
  }

  #addToHeader(bytes: Uint8Array): void {
    this.#header.push(bytes)
    this.#headerBytes += bytes.length
  }

  #parseHeader(bytes: Uint8Array): MatroskaHeader {
    try {
      return parseWholeHeader(bytes)
    } catch (error) {
      if (!(error instanceof MalformedMediaError)) throw error
      const start = this.#input.offset - bytes.length
      const { offset = 0, path = 'Segment' } = error.context as { offset?: number; path?: string }
      throw new MalformedMediaError(error.message, { offset: start + offset, path }, error)
    }
  }

  #readBetweenClusters(head: ElementHead, events: StreamEvent[]): boolean {
    switch (head.id) {
      case ElementId.Cluster:
        this.#beginCluster(head)
        return true
      case ElementId.Ebml:
        this.#state = 'ebml'
        return true
      case ElementId.Tags: {
        const bytes = this.#takeElement(head, 'Segment')
        if (bytes === null) return false
        events.push({ type: 'tags', bytes, pairs: this.#parseTags(bytes) })
        return true
      }
      case ElementId.Cues:
      case ElementId.SeekHead:
      case ElementId.Chapters:
      case ElementId.Attachments:
      case ElementId.Void:
      case ElementId.Crc32:
        this.#input.skip(this.#wholeLength(head, 'Segment'))
        return true
      default:
        throw this.#malformed(`${elementName(head.id)} between Clusters`, 'Segment')
    }
  }

  #beginCluster(head: ElementHead): void {
    const isOpen = head.size === UNKNOWN_SIZE
    const start = Uint8Array.from(this.#input.take(head.dataOffset))
    this.#clusterEnd = isOpen ? null : this.#input.offset + head.size
    start.set(toUnknownSize(head.dataOffset - head.sizeOffset), head.sizeOffset)
    this.#clusterStart = [start]
    this.#state = 'cluster'
  }

  #readInCluster(head: ElementHead, events: StreamEvent[]): boolean {
    const end = this.#clusterEnd
    if (end === null && endsUnknownCluster(head.id)) {
      this.#endCluster(events)
      return true
    }
    const path = 'Segment/Cluster'
    const length = this.#wholeLength(head, path)
    if (end !== null && this.#input.offset + length > end) {
      throw this.#malformed(`${elementName(head.id)} reaches past its Cluster`, path)
    }
    const bytes = this.#takeElement(head, path)
    if (bytes === null) return false
    if (this.#clusterStart !== null) this.#readClusterStart(head, bytes, events)
    else if (isBlock(head)) events.push(this.#readBlock(head, bytes))
    else events.push({ type: 'other', bytes })
    return true
  }

  #readClusterStart(head: ElementHead, bytes: Uint8Array, events: StreamEvent[]): void {
    const start = this.#clusterStart!
    if (isBlock(head)) throw this.#malformed('block before the Timecode', 'Segment/Cluster')
    start.push(bytes)
    if (head.id !== ElementId.Timecode) {
      if (start.length > MAX_ELEMENTS_BEFORE_TIMECODE) {
        throw this.#malformed('a Cluster without a Timecode', 'Segment/Cluster')
      }
      return
    }
    const timecode = this.#within(bytes, () => readUnsigned(bytes, head))
    this.#clusterStart = null
    events.push({ type: 'cluster', bytes: concat(start), timecode })
  }

  #readBlock(head: ElementHead, bytes: Uint8Array): StreamEvent {
    const block = this.#within(bytes, () => parseBlock(bytes, head))
    return {
      type: 'block',
      bytes,
      trackNumber: block.trackNumber,
      relativeTicks: block.relativeTicks,
      isKey: block.isKey,
      frames: block.frames.length,
      payloadBytes: block.frames.reduce((sum, frame) => sum + frame.length, 0),
    }
  }

  /** A Cluster that never had a Timecode held nothing. */
  #endCluster(events: StreamEvent[]): void {
    if (this.#clusterStart === null) events.push({ type: 'cluster-end' })
    this.#clusterStart = null
    this.#clusterEnd = null
    this.#state = 'segment'
  }

  #parseTags(bytes: Uint8Array): readonly TagPair[] {
    return this.#within(bytes, () => parseTags(bytes, readElementHead(bytes, 0)!))
  }

  /** Errors of an element that was taken name their place in the stream. */
  #within<T>(bytes: Uint8Array, parse: () => T): T {
    try {
      return parse()
    } catch (error) {
      if (!(error instanceof MalformedMediaError)) throw error
      const { offset, path } = error.context as { offset: number; path: string }
      const start = this.#input.offset - bytes.length
      throw new MalformedMediaError(error.message, { offset: start + offset, path }, error)
    }
  }

  /** @returns `null` until all of it has come */
  #takeElement(head: ElementHead, path: string): Uint8Array | null {
    const length = this.#wholeLength(head, path)
    if (length > this.#limits.maxElementBytes) {
      throw tooLarge('ElementTooLarge', elementName(head.id), this.#limits.maxElementBytes)
    }
    return this.#input.takeWhole(length)
  }

  #wholeLength(head: ElementHead, path: string): number {
    if (head.size === UNKNOWN_SIZE) {
      throw this.#malformed(`${elementName(head.id)} of unknown size`, path)
    }
    return head.dataOffset + head.size
  }

  #malformed(message: string, path: string): MalformedMediaError {
    return new MalformedMediaError(message, { offset: this.#input.offset, path })
  }
}

type State =
  | 'ebml'
  | 'segment-start'
  /** Before the first Cluster. */
  | 'header'
  | 'segment'
  | 'cluster'

/** Position, PrevSize, CRC-32, Void and the Timecode; more is nobody's habit. */
const MAX_ELEMENTS_BEFORE_TIMECODE = 16

function isBlock(head: ElementHead): boolean {
  return head.id === ElementId.SimpleBlock || head.id === ElementId.BlockGroup
}

function tooLarge(code: string, what: string, maxBytes: number): ServiceError {
  return new ServiceError('limit-exceeded', code, `${what} exceeds ${maxBytes} bytes`)
}
