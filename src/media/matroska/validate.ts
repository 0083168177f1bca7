import { MalformedMediaError } from '../../domain/errors.ts'
import { parseFragmentNumber, type FragmentNumber } from '../../domain/fragment.ts'
import { BLOCK_HEAD_BYTES, parseBlock, parseBlockHead } from './block.ts'
import { ElementId, elementName, endsUnknownCluster } from './element-id.ts'
import { parseHeader, type MatroskaHeader } from './header.ts'
import { parseTags } from './tags.ts'
import { readUnsigned } from './value.ts'
import { readElementHead, UNKNOWN_SIZE, type ElementHead } from './vint.ts'
import { FRAGMENT_NUMBER_TAG, PRODUCER_TIMESTAMP_TAG, SERVER_TIMESTAMP_TAG } from './writer.ts'

/** Something in a document that is not as RFC 9559, or the archive's layout, has it. */
export type MediaFinding = {
  readonly code: MediaDefect
  /** Of the element, in the file. */
  readonly offset: number
  /** As `Segment/Cluster/SimpleBlock`. */
  readonly path: string
  readonly detail: string
}

export type MediaDefect =
  | 'bad-header' // EBML header, Segment, Info and Tracks cannot be read
  | 'bad-element' // no element can begin here, or it reaches past its parent
  | 'torn' // the file ends within an element
  | 'misplaced' // an element at a level where it cannot be
  | 'bad-block'
  | 'no-timecode' // a Cluster without, or with blocks before it
  | 'unknown-track' // a block of a track that Tracks does not declare
  | 'bad-tags' // Tags that cannot be read, or a fragment's that lack a name
  | 'fragment-order' // fragment numbers that do not rise
  | 'untagged-cluster' // a Cluster without a fragment's Tags before it
  | 'cue-target' // a CuePoint that does not name a Cluster and its Timecode
  | 'seek-target' // a SeekHead entry that does not name such an element

/** A file, or bytes in memory. */
export type MediaSource = {
  readonly bytes: number
  /** Shorter than `length` at the end. */
  read(position: number, length: number): Promise<Uint8Array>
}

export type ValidationOptions = {
  /** `fragments`: as the archive lays chunks out; `document`: any Matroska file. */
  readonly layout: 'fragments' | 'document'
  /** `growing`: a torn element at the end is what comes next. */
  readonly tail: 'whole' | 'growing'
  /** Called for every Void beside or behind Clusters: where notes stand. */
  readonly onVoid?: (head: ElementHead, payload: Uint8Array) => void
}

export type Validation = {
  readonly findings: readonly MediaFinding[]
  /** `null` when it cannot be read. */
  readonly header: MatroskaHeader | null
  readonly clusters: number
  readonly fragments: readonly {
    readonly fragmentNumber: FragmentNumber
    readonly offset: number
  }[]
}

/** More findings than these tell nothing new. */
const MAX_FINDINGS = 100

/**
 * Checks a whole document, element by element, in bounded memory: IDs and sizes, levels, Timecodes,
 * blocks and their tracks, and that Cues and SeekHead point at what they say. Frames are not decoded.
 * It never throws for what the bytes are.
 */
export async function validateMatroska(
  source: MediaSource,
  options: ValidationOptions,
): Promise<Validation> {
  const walk = new ValidationWalk(new Window(source), options)
  await walk.run()
  return walk.result()
}

const LEVEL_1: ReadonlySet<number> = new Set([
  ElementId.SeekHead,
  ElementId.Info,
  ElementId.Tracks,
  ElementId.Cues,
  ElementId.Chapters,
  ElementId.Attachments,
  ElementId.Tags,
  ElementId.Void,
  ElementId.Crc32,
])

/** Beside Timecode and blocks: SilentTracks, Position, PrevSize, EncryptedBlock (RFC 9559 §5.1.3). */
const IN_CLUSTER: ReadonlySet<number> = new Set([
  ElementId.Void,
  ElementId.Crc32,
  0x5854,
  0xa7,
  0xab,
  0xaf,
])

/** Longest header and longest Tags, Cues or SeekHead that are looked into. */
const MAX_HEADER_BYTES = 1024 * 1024
const MAX_INSPECTED_BYTES = 16 * 1024 * 1024

type OpenCluster = {
  readonly offset: number
  /** `null`: of unknown size. */
  readonly end: number | null
  timecode: number | null
  missingTold: boolean
}

class ValidationWalk {
  readonly #window: Window
  readonly #options: ValidationOptions
  readonly #findings: MediaFinding[] = []
  readonly #fragments: { fragmentNumber: FragmentNumber; offset: number }[] = []
  /** Offsets of Clusters with their Timecodes, and of the elements at their level. */
  readonly #timecodes = new Map<number, number | null>()
  readonly #level1 = new Map<number, number>()
  readonly #cues: { readonly at: number; readonly time: number; readonly position: number }[] = []
  readonly #seeks: { readonly at: number; readonly id: number; readonly position: number }[] = []
  #header: MatroskaHeader | null = null
  #segmentStart = 0
  #end = 0
  #cluster: OpenCluster | null = null
  #tagged = false

  constructor(window: Window, options: ValidationOptions) {
    this.#window = window
    this.#options = options
    this.#end = window.bytes
  }

  async run(): Promise<void> {
    const start = await this.#openSegment()
    if (start === null) return
    for (let at: number | null = start; at !== null && at < this.#end;) {
      if (this.#findings.length >= MAX_FINDINGS) return
      at = await this.#step(at)
    }
    this.#closeCluster()
    this.#checkReferences()
  }

  result(): Validation {
    return {
      findings: this.#findings,
      header: this.#header,
      clusters: this.#timecodes.size,
      fragments: this.#fragments,
    }
  }

  /** Answers where the Segment's payload begins. */
  async #openSegment(): Promise<number | null> {
    try {
      const front = await this.#window.view(0, Math.min(this.#window.bytes, MAX_HEADER_BYTES))
      this.#header = parseHeader(front)
      const ebml = readElementHead(front, 0)
      const segment = ebml === null ? null : readElementHead(front, ebml.dataOffset + ebml.size)
      if (segment === null || this.#header === null) {
        if (this.#options.tail === 'whole') {
          this.#find('bad-header', 0, 'Segment', 'ends before the first Cluster')
        }
        return null
      }
      this.#segmentStart = segment.dataOffset
      if (segment.size !== UNKNOWN_SIZE) this.#endSegment(segment)
      return segment.dataOffset
    } catch (error) {
      const { message, context } = malformed(error)
      this.#find('bad-header', Number(context.offset), String(context.path), message)
      return null
    }
  }

  #endSegment(segment: ElementHead): void {
    const end = segment.dataOffset + segment.size
    if (end > this.#window.bytes) this.#torn(segment, 'Segment')
    else if (end < this.#window.bytes) {
      this.#find('misplaced', end, '', 'bytes behind the end of the Segment')
      this.#end = end
    }
  }

  /** Answers where the next element begins; `null` when that cannot be told. */
  async #step(at: number): Promise<number | null> {
    if (this.#cluster?.end === at) this.#closeCluster()
    const path = this.#cluster === null ? 'Segment' : 'Segment/Cluster'
    let head: ElementHead | null
    try {
      head = await this.#window.head(at)
    } catch (error) {
      this.#find('bad-element', at, path, malformed(error).message)
      return this.#skipCluster()
    }
    if (head === null) {
      this.#tornAt(at, path, 'the file ends within an ID or a size')
      return null
    }
    if (this.#cluster?.end === null && endsUnknownCluster(head.id)) this.#closeCluster()
    return this.#cluster === null ? this.#beside(head) : this.#within(head, this.#cluster)
  }

  async #beside(head: ElementHead): Promise<number | null> {
    const path = `Segment/${elementName(head.id)}`
    if (head.id === ElementId.Cluster) return this.#openCluster(head)
    if (head.size === UNKNOWN_SIZE) {
      this.#find('bad-element', head.offset, path, 'of unknown size')
      return null
    }
    const end = head.dataOffset + head.size
    if (end > this.#end) {
      this.#torn(head, path)
      return null
    }
    if (!LEVEL_1.has(head.id)) {
      this.#find('misplaced', head.offset, path, 'not an element of a Segment')
      return end
    }
    this.#level1.set(head.offset, head.id)
    if (head.size <= MAX_INSPECTED_BYTES) await this.#inspect(head, path)
    return end
  }

  async #inspect(head: ElementHead, path: string): Promise<void> {
    const { id, offset, dataOffset, size } = head
    if (
      ![ElementId.Tags, ElementId.Cues, ElementId.SeekHead, ElementId.Void].some((i) => i === id)
    ) {
      return
    }
    const payload = await this.#window.view(dataOffset, size)
    const whole = { ...head, dataOffset: 0 }
    try {
      if (id === ElementId.Tags) this.#takeTags(parseTags(payload, whole), offset)
      if (id === ElementId.Cues) this.#takeCues(payload, head)
      if (id === ElementId.SeekHead) this.#takeSeekHead(payload, head)
      if (id === ElementId.Void) this.#options.onVoid?.(head, payload)
    } catch (error) {
      const code = id === ElementId.Tags ? 'bad-tags' : 'bad-element'
      this.#find(code, offset, path, malformed(error).message)
    }
  }

  #takeTags(pairs: readonly { readonly name: string; readonly value: string }[], at: number): void {
    const value = (name: string) => pairs.find((pair) => pair.name === name)?.value
    const number = value(FRAGMENT_NUMBER_TAG)
    if (this.#options.layout === 'document' || number === undefined) return
    if (parseFragmentNumber(number) === null) {
      this.#find('bad-tags', at, 'Segment/Tags', `${FRAGMENT_NUMBER_TAG} has no such number`)
      return
    }
    for (const name of [SERVER_TIMESTAMP_TAG, PRODUCER_TIMESTAMP_TAG]) {
      if (/^-?\d{1,12}\.\d{3}$/.test(value(name) ?? '')) continue
      this.#find('bad-tags', at, 'Segment/Tags', `${name} is missing or no time`)
    }
    const before = this.#fragments.at(-1)?.fragmentNumber
    if (before !== undefined && number <= before) {
      this.#find('fragment-order', at, 'Segment/Tags', `${number} does not follow ${before}`)
    }
    this.#fragments.push({ fragmentNumber: number as FragmentNumber, offset: at })
    this.#tagged = true
  }

  #takeCues(payload: Uint8Array, cues: ElementHead): void {
    for (const point of children(payload)) {
      if (point.id !== ElementId.CuePoint) continue
      let time = -1
      const positions: number[] = []
      for (const child of children(payload, point)) {
        if (child.id === ElementId.CueTime) time = readUnsigned(payload, child)
        if (child.id !== ElementId.CueTrackPositions) continue
        for (const place of children(payload, child)) {
          const isPosition = place.id === ElementId.CueClusterPosition
          if (isPosition) positions.push(readUnsigned(payload, place))
        }
      }
      const at = cues.dataOffset + point.offset
      for (const position of positions) this.#cues.push({ at, time, position })
    }
  }

  #takeSeekHead(payload: Uint8Array, seekHead: ElementHead): void {
    for (const seek of children(payload)) {
      if (seek.id !== ElementId.Seek) continue
      let id = 0
      let position = -1
      for (const child of children(payload, seek)) {
        if (child.id === ElementId.SeekId) id = readUnsigned(payload, child)
        if (child.id === ElementId.SeekPosition) position = readUnsigned(payload, child)
      }
      this.#seeks.push({ at: seekHead.dataOffset + seek.offset, id, position })
    }
  }

  #openCluster(head: ElementHead): number | null {
    const end = head.size === UNKNOWN_SIZE ? null : head.dataOffset + head.size
    if (this.#options.layout === 'fragments' && !this.#tagged) {
      this.#find('untagged-cluster', head.offset, 'Segment/Cluster', 'no fragment begins before it')
    }
    this.#tagged = false
    this.#timecodes.set(head.offset, null)
    this.#level1.set(head.offset, head.id)
    if (end !== null && end > this.#end) {
      this.#torn(head, 'Segment/Cluster')
      if (this.#options.tail === 'whole') return null
    }
    this.#cluster = { offset: head.offset, end, timecode: null, missingTold: false }
    return head.dataOffset
  }

  async #within(head: ElementHead, cluster: OpenCluster): Promise<number | null> {
    const path = `Segment/Cluster/${elementName(head.id)}`
    const end = head.dataOffset + head.size
    if (head.size === UNKNOWN_SIZE || end > (cluster.end ?? Infinity)) {
      this.#find('bad-element', head.offset, path, 'reaches past its Cluster')
      return this.#skipCluster()
    }
    if (end > this.#end) {
      this.#torn(head, path)
      return null
    }
    if (head.id === ElementId.Timecode) {
      await this.#takeTimecode(head, cluster)
    } else if (head.id === ElementId.SimpleBlock || head.id === ElementId.BlockGroup) {
      await this.#takeBlock(head, cluster)
    } else if (head.id === ElementId.Void && head.size <= MAX_INSPECTED_BYTES) {
      this.#options.onVoid?.(head, await this.#window.view(head.dataOffset, head.size))
    } else if (!IN_CLUSTER.has(head.id)) {
      this.#find('misplaced', head.offset, path, 'not an element of a Cluster')
    }
    return end
  }

  async #takeTimecode(head: ElementHead, cluster: OpenCluster): Promise<void> {
    try {
      const payload = await this.#window.view(head.dataOffset, head.size)
      cluster.timecode = readUnsigned(payload, { ...head, dataOffset: 0 })
      this.#timecodes.set(cluster.offset, cluster.timecode)
    } catch (error) {
      this.#find('bad-element', head.offset, 'Segment/Cluster/Timecode', malformed(error).message)
    }
  }

  async #takeBlock(head: ElementHead, cluster: OpenCluster): Promise<void> {
    const path = `Segment/Cluster/${elementName(head.id)}`
    if (cluster.timecode === null) this.#tellMissing(cluster, 'a block before the Timecode')
    try {
      const trackNumber = await this.#trackOf(head)
      if (this.#header?.tracks.some(({ number }) => number === trackNumber) ?? true) return
      this.#find('unknown-track', head.offset, path, `track ${trackNumber} is not declared`)
    } catch (error) {
      this.#find('bad-block', head.offset, path, malformed(error).message)
    }
  }

  async #trackOf(head: ElementHead): Promise<number> {
    if (head.id === ElementId.SimpleBlock) {
      const start = await this.#window.view(head.dataOffset, Math.min(head.size, BLOCK_HEAD_BYTES))
      return parseBlockHead(start).trackNumber
    }
    const group = await this.#window.view(head.offset, head.dataOffset - head.offset + head.size)
    return parseBlock(group, readElementHead(group, 0)!).trackNumber
  }

  #closeCluster(): void {
    const cluster = this.#cluster
    this.#cluster = null
    if (cluster === null || cluster.timecode !== null) return
    // What ends within its Cluster's head is torn, and may still get a Timecode.
    if (this.#options.tail === 'growing') return
    this.#tellMissing(cluster, 'no Timecode')
  }

  /** Of a Cluster that cannot be read any further; `null` when nobody knows where it ends. */
  #skipCluster(): number | null {
    const end = this.#cluster?.end ?? null
    this.#cluster = null
    return end
  }

  #tellMissing(cluster: OpenCluster, detail: string): void {
    if (cluster.missingTold) return
    cluster.missingTold = true
    this.#find('no-timecode', cluster.offset, 'Segment/Cluster', detail)
  }

  #checkReferences(): void {
    for (const { at, time, position } of this.#cues) {
      const timecode = this.#timecodes.get(this.#segmentStart + position)
      if (timecode === undefined) {
        this.#find('cue-target', at, 'Segment/Cues/CuePoint', `no Cluster at ${position}`)
      } else if (timecode === null || Math.abs(time - timecode) > MAX_BLOCK_DISTANCE) {
        this.#find('cue-target', at, 'Segment/Cues/CuePoint', `${time} is not in that Cluster`)
      }
    }
    // The header of a chunk without an ending is the producer's, whose SeekHead is about its own file.
    const isOurs = [...this.#level1.values()].includes(ElementId.Cues)
    if (this.#options.layout === 'fragments' && !isOurs) return
    for (const { at, id, position } of this.#seeks) {
      if (this.#level1.get(this.#segmentStart + position) === id) continue
      const detail = `no ${elementName(id)} at ${position}`
      this.#find('seek-target', at, 'Segment/SeekHead/Seek', detail)
    }
  }

  #torn(head: ElementHead, path: string): void {
    const missing = head.dataOffset + head.size - this.#end
    this.#tornAt(head.offset, path, `${missing} bytes are missing`)
  }

  #tornAt(offset: number, path: string, detail: string): void {
    if (this.#options.tail === 'whole') this.#find('torn', offset, path, detail)
  }

  #find(code: MediaDefect, offset: number, path: string, detail: string): void {
    this.#findings.push({ code, offset, path, detail })
  }
}

/** A block lies within 16 bits, signed, of its Cluster's Timecode (RFC 9559 §10). */
const MAX_BLOCK_DISTANCE = 32_768

function malformed(error: unknown): MalformedMediaError {
  if (error instanceof MalformedMediaError) return error
  throw error
}

/** Of `parent`, or of the whole payload. */
function* children(
  payload: Uint8Array,
  parent: { readonly dataOffset: number; readonly size: number } = {
    dataOffset: 0,
    size: payload.length,
  },
): Generator<ElementHead> {
  const end = parent.dataOffset + parent.size
  for (let offset = parent.dataOffset; offset < end;) {
    const head = readElementHead(payload.subarray(0, end), offset)
    if (head === null || head.size === UNKNOWN_SIZE || head.dataOffset + head.size > end) {
      throw new MalformedMediaError('child reaches past its parent', { offset, path: 'Segment' })
    }
    yield head
    offset = head.dataOffset + head.size
  }
}

const WINDOW_BYTES = 256 * 1024

/** Reads forwards in large pieces. */
class Window {
  readonly bytes: number
  readonly #source: MediaSource
  #start = 0
  #held: Uint8Array = new Uint8Array(0)

  constructor(source: MediaSource) {
    this.#source = source
    this.bytes = source.bytes
  }

  /** Valid until the next call. */
  async view(offset: number, length: number): Promise<Uint8Array> {
    const end = Math.min(offset + length, this.bytes)
    if (offset < this.#start || end > this.#start + this.#held.length) {
      this.#held = await this.#source.read(offset, Math.max(WINDOW_BYTES, length))
      this.#start = offset
    }
    return this.#held.subarray(offset - this.#start, Math.max(end - this.#start, 0))
  }

  /** With offsets in the file. */
  async head(offset: number): Promise<ElementHead | null> {
    const head = readElementHead(await this.view(offset, 12), 0)
    if (head === null) return null
    const { id, size } = head
    return {
      ...{ id, size, offset },
      sizeOffset: offset + head.sizeOffset,
      dataOffset: offset + head.dataOffset,
    }
  }
}
