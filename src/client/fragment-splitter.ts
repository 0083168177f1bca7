import { MalformedMediaError, ServiceError } from '../domain/errors.ts'
import type { Track } from '../domain/track.ts'
import { ElementId } from '../media/matroska/element-id.ts'
import { parseHeader, scanElements } from '../media/matroska/scanner.ts'
import { parseTags } from '../media/matroska/tags.ts'

/** A fragment as GetMedia delivers it: a Matroska document of its own. */
export type ReceivedFragment = {
  readonly fragmentNumber: string
  readonly producerTimestamp: Date
  readonly serverTimestamp: Date
  /** `null` when it was not said. */
  readonly millisBehindNow: number | null
  /** To begin with behind this fragment, another time. */
  readonly continuationToken: string
  /** The producer's own. */
  readonly tags: ReadonlyMap<string, string>
  readonly tracks: readonly Track[]
  /** The whole document as it came, the service's tags included: what players open. */
  readonly bytes: Uint8Array
}

const OWN = 'AWS_KINESISVIDEO_'
const FIRST_BYTES = 256 * 1024

/** Takes the answer of GetMedia apart, in pieces of any size, into fragments. */
export class FragmentSplitter {
  readonly #maxBytes: number
  #buffer = new Uint8Array(FIRST_BYTES)
  #length = 0
  /** Where the element begins that is not whole yet. */
  #at = 0
  readonly #service = new Map<string, string>()
  readonly #tags = new Map<string, string>()

  /** @param maxBytes of one fragment */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /**
   * @returns the fragments that are whole now
   * @throws ServiceError `unavailable`/`MediaError` when the service says that it cannot go on,
   *   `limit-exceeded`/`FragmentTooLarge`, `malformed-media`/`MalformedMedia`
   */
  push(bytes: Uint8Array): readonly ReceivedFragment[] {
    this.#append(bytes)
    const fragments: ReceivedFragment[] = []
    for (let next = this.#next(); next !== null; next = this.#next()) fragments.push(next)
    if (this.#length > this.#maxBytes) {
      const message = `A fragment is larger than ${this.#maxBytes} bytes.`
      throw new ServiceError('limit-exceeded', 'FragmentTooLarge', message)
    }
    return fragments
  }

  #next(): ReceivedFragment | null {
    for (const element of scanElements(this.#buffer.subarray(0, this.#length), this.#at)) {
      if (element.open) return null
      if (element.id === ElementId.Ebml && this.#at > 0) {
        this.#dropTo(this.#at) // what came before broke off
        return this.#next()
      }
      this.#at = element.end
      if (element.id === ElementId.Tags) {
        for (const { name, value } of parseTags(this.#buffer, element)) this.#takeTag(name, value)
        // The last thing that is said of a fragment.
        if (this.#service.has('CONTINUATION_TOKEN')) return this.#take()
      }
    }
    return null
  }

  #takeTag(name: string, value: string): void {
    if (!name.startsWith(OWN)) {
      this.#tags.set(name, value)
      return
    }
    this.#service.set(name.slice(OWN.length), value)
    if (name !== `${OWN}ERROR_CODE`) return // which stands behind its number
    const id = this.#service.get('ERROR_ID') ?? ''
    throw new ServiceError('unavailable', 'MediaError', `The service gave up: ${id} ${value}`)
  }

  #take(): ReceivedFragment {
    const bytes = this.#buffer.slice(0, this.#at)
    const behind = this.#service.get('MILLIS_BEHIND_NOW')
    const fragment = {
      fragmentNumber: this.#require('FRAGMENT_NUMBER'),
      producerTimestamp: toDate(this.#require('PRODUCER_TIMESTAMP')),
      serverTimestamp: toDate(this.#require('SERVER_TIMESTAMP')),
      millisBehindNow: behind === undefined ? null : Number(behind),
      continuationToken: this.#require('CONTINUATION_TOKEN'),
      tags: new Map(this.#tags),
      tracks: parseHeader(bytes)?.tracks ?? [],
      bytes,
    }
    this.#dropTo(this.#at)
    return fragment
  }

  #require(name: string): string {
    const value = this.#service.get(name)
    if (value !== undefined) return value
    throw new MalformedMediaError(`no tag ${OWN}${name}`, {
      offset: this.#at,
      path: 'Segment/Tags',
    })
  }

  #dropTo(offset: number): void {
    this.#buffer.copyWithin(0, offset, this.#length)
    this.#length -= offset
    this.#at = 0
    this.#service.clear()
    this.#tags.clear()
  }

  #append(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length
    if (needed > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2))
      larger.set(this.#buffer.subarray(0, this.#length))
      this.#buffer = larger
    }
    this.#buffer.set(bytes, this.#length)
    this.#length = needed
  }
}

/** Seconds with a fraction, as text. */
function toDate(seconds: string): Date {
  return new Date(Math.round(Number(seconds) * 1000))
}
