import { createHash, createHmac } from 'node:crypto'
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { SignatureV4 } from '@smithy/signature-v4'
import { onTestFinished } from 'vitest'
import {
  CallLimit,
  createKinesisVideoApi,
  MediaReaders,
  type KinesisVideoApiParts,
} from '../../../src/api/kinesis-video/index.ts'
import { startHttpServer } from '../../../src/api/http-server.ts'
import { createTokenSealer } from '../../../src/api/aws/sealed-token.ts'
import { startSources } from '../../../src/ingest/index.ts'
import {
  createClips,
  createImages,
  createPlayableAudio,
  createStreamingSessions,
} from '../../../src/playback/index.ts'
import { systemClock } from '../../../src/platform/clock.ts'
import {
  createEdgeConfigurations,
  createSecretBox,
  openChannelRegistry,
  openSourceRegistry,
} from '../../../src/registry/index.ts'
import { openIngestFixture } from '../../ingest/ingest-fixture.ts'
import { FakeCameras } from '../../ingest/sources/fake-cameras.ts'
import { Recorder } from '../../support/recorder.ts'
import { scratchMetaStore, untilTestEnds } from '../../support/scratch.ts'

export const ACCESS_KEY = {
  accessKeyId: 'AKIDTESTTESTTEST0001',
  secretAccessKey: 'a secret of tests',
}

export const SECRET_ARN = 'arn:aws:secretsmanager:us-west-2:123456789012:secret:'

/** The API on a free port in front of a real archive with a stream `x`, until the test ends. */
export async function runKinesisVideoApi(
  secrets: ReadonlyMap<string, string> = new Map(),
  replace: Partial<KinesisVideoApiParts> = {},
) {
  const fixture = await openIngestFixture()
  const meta = await scratchMetaStore()
  const sources = await openSourceRegistry(
    {
      ...{ meta, streams: fixture.registry, clock: systemClock },
      box: createSecretBox(Buffer.alloc(32, 7)),
    },
    [],
  )
  const cameras = new FakeCameras()
  const limits = { maxStreams: 10_000, maxChannels: 10_000 }
  const pulls = untilTestEnds(
    startSources({ ...fixture.deps, sources, pullOf: () => cameras.pull, random: () => 0 }),
  )
  const source = untilTestEnds(
    createPlayableAudio({ archive: fixture.archive, metrics: fixture.deps.metrics }),
  )
  const api = createKinesisVideoApi({
    ...fixture.deps,
    ...{ sources, pulls, region: 'us-west-2', accountId: '123456789012' },
    mediaReaders: new MediaReaders({ maxReadersPerStream: 3, idleMs: 60_000 }),
    clips: createClips({
      archive: fixture.archive,
      source,
      onLeftOut: ({ fragmentNumber }, error) =>
        fixture.observed.events.clipFragmentLeftOut({
          ...{ stream: 'x', fragmentNumber, reason: error.code, error },
        }),
    }),
    images: untilTestEnds(createImages({ archive: fixture.archive, workers: 1 })),
    streaming: createStreamingSessions({
      archive: fixture.archive,
      source,
      clock: replace.clock ?? systemClock,
    }),
    archivedCalls: new CallLimit(100),
    sealer: createTokenSealer(Buffer.alloc(32, 9)),
    control: {
      sessions: fixture.sessions,
      channels: await openChannelRegistry(meta, systemClock),
      limits,
    },
    edgeConfigurations: createEdgeConfigurations(meta),
    secretOf: async (arn) => secrets.get(arn.slice(SECRET_ARN.length)) ?? null,
    identityPolicies: () => null,
    accessKeys: (id) => (id === ACCESS_KEY.accessKeyId ? ACCESS_KEY : null),
    ...replace,
  })
  const server = await startHttpServer({
    host: '127.0.0.1',
    port: 0,
    onRequest: (request, response) => api.handle(request, response),
    clock: systemClock,
    log: fixture.observed.log,
  })
  onTestFinished(async () => {
    await api.close()
    await server.close(0)
  })
  return { ...fixture, api, server, port: server.port, sources, cameras, limits }
}

export type Ack = {
  readonly EventType: string
  readonly FragmentTimecode?: number
  readonly FragmentNumber?: string
  readonly ErrorId?: number
  readonly ErrorCode?: string
}

/** Headers of a PutMedia call, signed by the SDKs' own signer. */
export async function signedHeaders(
  port: number,
  extra: Record<string, string> = {},
): Promise<Record<string, string>> {
  const signer = new SignatureV4({
    service: 'kinesisvideo',
    region: 'eu-west-1',
    credentials: ACCESS_KEY,
    sha256: Sha256,
    applyChecksum: false,
  })
  const signed = (await signer.sign({
    method: 'POST',
    protocol: 'http:',
    hostname: '127.0.0.1',
    port,
    path: '/putMedia',
    query: {},
    headers: {
      host: `127.0.0.1:${port}`,
      'x-amzn-stream-name': 'x',
      'x-amzn-fragment-timecode-type': 'ABSOLUTE',
      ...extra,
    },
  } as never)) as unknown as { readonly headers: Record<string, string> }
  return signed.headers
}

/** A call that sends when told and keeps what it is told. */
export class Producer {
  readonly #request: ClientRequest
  readonly acks = new Recorder<Ack>()
  readonly answered: Promise<IncomingMessage>
  /** Of an answer that is no stream of acknowledgements. */
  body = ''
  readonly closed: Promise<void>

  private constructor(port: number, headers: Record<string, string>) {
    this.#request = httpRequest({
      port,
      host: '127.0.0.1',
      path: '/putMedia',
      method: 'POST',
      headers,
    })
    this.#request.on('error', () => undefined)
    let rest = ''
    this.answered = new Promise((resolve) =>
      this.#request.on('response', (response) => {
        response.setEncoding('utf8')
        response.on('data', (text: string) => {
          this.body += text
          const lines = (rest + text).split('\r\n')
          rest = lines.pop()!
          for (const line of lines) this.acks.push(JSON.parse(line) as Ack)
        })
        resolve(response)
      }),
    )
    this.closed = new Promise((resolve) => this.#request.on('close', resolve))
  }

  static async open(port: number, extra: Record<string, string> = {}): Promise<Producer> {
    return new Producer(port, await signedHeaders(port, extra))
  }

  static unsigned(port: number, headers: Record<string, string>): Producer {
    return new Producer(port, headers)
  }

  send(bytes: Uint8Array): void {
    this.#request.write(bytes)
  }

  end(bytes?: Uint8Array): void {
    if (bytes === undefined) this.#request.end()
    else this.#request.end(bytes)
  }

  breakOff(): void {
    this.#request.destroy()
  }
}

class Sha256 {
  readonly #parts: Uint8Array[] = []
  readonly #key: Uint8Array | string | null
  constructor(key?: unknown) {
    this.#key = (key as Uint8Array | string | undefined) ?? null
  }
  update(part: Uint8Array | string): void {
    this.#parts.push(typeof part === 'string' ? Buffer.from(part) : part)
  }
  async digest(): Promise<Uint8Array> {
    const hash = this.#key === null ? createHash('sha256') : createHmac('sha256', this.#key)
    for (const part of this.#parts) hash.update(part)
    return hash.digest()
  }
}
