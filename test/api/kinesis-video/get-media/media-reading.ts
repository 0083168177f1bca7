import type { Readable } from 'node:stream'
import {
  GetMediaCommand,
  KinesisVideoMediaClient,
  type StartSelector,
} from '@aws-sdk/client-kinesis-video-media'
import { onTestFinished } from 'vitest'
import { ElementId } from '../../../../src/media/matroska/element-id.ts'
import { scanElements } from '../../../../src/media/matroska/scanner.ts'
import { parseTags } from '../../../../src/media/matroska/tags.ts'
import { ACCESS_KEY } from '../running-video-api.ts'

/** The unmodified SDK's client before a port of ours. */
export function mediaClient(port: number): KinesisVideoMediaClient {
  const client = new KinesisVideoMediaClient({
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-west-2',
    credentials: ACCESS_KEY,
    maxAttempts: 1,
  })
  onTestFinished(() => client.destroy())
  return client
}

export async function startReading(
  client: KinesisVideoMediaClient,
  selector: StartSelector,
): Promise<Reading> {
  const answer = await client.send(
    new GetMediaCommand({ StreamName: 'x', StartSelector: selector }),
  )
  return new Reading(answer.Payload as unknown as Readable, answer.ContentType)
}

/** An answer of GetMedia as it comes in. */
export class Reading {
  readonly contentType: string | undefined
  readonly #body: Readable
  #bytes = Buffer.alloc(1 << 16)
  #length = 0
  #isOver = false
  #failure: Error | null = null
  #watchers: (() => void)[] = []

  constructor(body: Readable, contentType: string | undefined) {
    this.contentType = contentType
    this.#body = body
    body.on('data', (part: Buffer) => {
      this.#add(part)
      this.#wake()
    })
    body.once('error', (error) => (this.#failure = error))
    body.once('close', () => {
      this.#isOver = true
      this.#wake()
    })
    onTestFinished(() => this.leave())
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  /** Resolves when what has come says so. */
  async until(holds: (documents: readonly Buffer[]) => boolean): Promise<readonly Buffer[]> {
    for (;;) {
      const documents = toDocuments(this.bytes)
      if (holds(documents)) return documents
      if (this.#isOver) throw new Error(`over after ${documents.length} documents`)
      await new Promise<void>((resolve) => this.#watchers.push(resolve))
    }
  }

  /** Resolves when as many fragments have come whole. */
  reaching(count: number): Promise<readonly Buffer[]> {
    return this.until((documents) => documents.filter(isWhole).length >= count)
  }

  /** Resolves with all that came. */
  async over(): Promise<readonly Buffer[]> {
    while (!this.#isOver) await new Promise<void>((resolve) => this.#watchers.push(resolve))
    if (this.#failure !== null) throw this.#failure
    return toDocuments(this.bytes)
  }

  leave(): void {
    this.#body.destroy()
  }

  #add(part: Buffer): void {
    while (this.#length + part.length > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes], 2 * this.#bytes.length)
    }
    this.#length += part.copy(this.#bytes, this.#length)
  }

  #wake(): void {
    for (const watcher of this.#watchers.splice(0)) watcher()
  }
}

const EBML = Buffer.from('1a45dfa3', 'hex')

/** As the Python consumer does: every EBML header begins another. */
export function toDocuments(bytes: Buffer): readonly Buffer[] {
  const starts: number[] = []
  for (let at = bytes.indexOf(EBML); at >= 0; at = bytes.indexOf(EBML, at + 1)) starts.push(at)
  return starts.map((start, i) => bytes.subarray(start, starts[i + 1]))
}

/** All names and values of a document's Tags. */
export function tagsOf(document: Buffer): Record<string, string> {
  const tags: Record<string, string> = {}
  for (const element of scanElements(document)) {
    if (element.id !== ElementId.Tags) continue
    for (const { name, value } of parseTags(document, element)) tags[name] = value
  }
  return tags
}

/** The parser library's rule. */
export function isWhole(document: Buffer): boolean {
  const tags = tagsOf(document)
  return (
    tags.AWS_KINESISVIDEO_CONTINUATION_TOKEN !== undefined &&
    tags.AWS_KINESISVIDEO_MILLIS_BEHIND_NOW !== undefined
  )
}

export function numberOf(document: Buffer): string {
  return tagsOf(document).AWS_KINESISVIDEO_FRAGMENT_NUMBER!
}
