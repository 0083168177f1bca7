import type { EpochMs } from '../../domain/time.ts'
import type { FlvTag } from '../flv/flv-reader.ts'
import { AdobeAuthentication } from '../rtmp/adobe-authentication.ts'
import { parseAggregate, type AggregatedMessage } from '../rtmp/aggregate.ts'
import * as commands from '../rtmp/commands.ts'
import { PlaySession } from '../rtmp/play-session.ts'
import { parsePlayUrl, type PlayAddress } from '../rtmp/play-url.ts'
import { connectSocket } from './connect-socket.ts'
import { FlvFeed } from './flv-feed.ts'
import { toPullError } from './pull-ending.ts'
import { PullError, type Pull } from './pull.ts'

/** Pulls a live stream from an RTMP or RTMPS server, by its `play` command. */
export const pullRtmp: Pull = async (target, deps, signal) => {
  let peer = ''
  const feed = new FlvFeed(target, deps, { protocol: 'rtmp-pull', peer: () => peer, signal })
  const { credentials } = target
  const login = credentials === null ? null : new AdobeAuthentication(credentials)
  let failure: PullError | null = null
  try {
    for (let address: PlayAddress | null = parsePlayUrl(target.url, credentials); ;) {
      const tcp = await connectSocket(target, deps.clock, signal)
      peer = `${tcp.remoteAddress}:${tcp.remotePort}`
      const session = new PlaySession(tcp, {
        clock: deps.clock,
        answerTimeoutMs: 2 * target.connectTimeoutMs,
        onMedia: (message, arrivedAt) => takeMessage(feed, message, arrivedAt),
      })
      const question = await play(session, address, { feed, signal })
      const query: string | null = login?.answer(question) ?? null
      if (query === null) {
        throw new PullError('unauthorised', 'The server does not accept the login, or wants one.')
      }
      const { app, tcUrl, stream } = parsePlayUrl(target.url, null)
      address = { app: app + query, tcUrl: tcUrl + query, stream }
    }
  } catch (error) {
    if (!signal.aborted) failure = toPullError(error)
  }
  await feed.end(failure)
  if (failure !== null) throw failure
}

/**
 * Plays until the signal aborts or something fails, which it throws; resolves with the server's
 * question for a login, which has to be answered on another connection.
 */
async function play(
  session: PlaySession,
  address: PlayAddress,
  { feed, signal }: { readonly feed: FlvFeed; readonly signal: AbortSignal },
): Promise<string> {
  const over = AbortSignal.any([signal, session.lost])
  const leaving = new Promise<never>((_resolve, reject) => {
    over.addEventListener('abort', () => reject(over.reason as Error), { once: true })
  })
  leaving.catch(() => undefined) // told by the races
  try {
    const question = await Promise.race([session.connect(address), leaving])
    if (question !== null) return question
    await Promise.race([session.play(address), leaving])
    return await feed.watch(over)
  } finally {
    await session.leave()
  }
}

/** As FLV has it: both bring the same bodies. */
function takeMessage(
  feed: FlvFeed,
  message: AggregatedMessage,
  arrivedAt: EpochMs,
): Promise<void> | null {
  if (message.typeId === commands.TYPE_AGGREGATE) {
    const parts = parseAggregate(message.payload, message.timestamp)
    return takeAll(feed, parts, arrivedAt)
  }
  const tag = toTag(message)
  return tag === null ? null : feed.take(tag, arrivedAt)
}

async function takeAll(
  feed: FlvFeed,
  parts: readonly AggregatedMessage[],
  arrivedAt: EpochMs,
): Promise<void> {
  for (const part of parts) {
    const tag = toTag(part)
    if (tag !== null) await feed.take(tag, arrivedAt)
  }
}

function toTag({ typeId, timestamp, payload }: AggregatedMessage): FlvTag | null {
  switch (typeId) {
    case commands.TYPE_VIDEO:
      return { kind: 'video', timestamp, body: payload }
    case commands.TYPE_AUDIO:
      return { kind: 'audio', timestamp, body: payload }
    case commands.TYPE_DATA_AMF0:
    case commands.TYPE_DATA_AMF3:
      return { kind: 'script', timestamp, body: commands.amf0Part(typeId, payload) }
    default:
      return null
  }
}
