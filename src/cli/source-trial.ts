import { PullError, pullOf, trySource, type SourceFindings } from '../ingest/index.ts'
import { createEvents } from '../observe/events.ts'
import { silentLog } from '../observe/log.ts'
import { createMetrics } from '../observe/metrics.ts'
import { systemClock } from '../platform/clock.ts'
import { parseNewSource, type NewSource } from '../registry/index.ts'

/**
 * Calls a camera once and prints what came.
 *
 * @returns the exit code: 0, or 1 when nothing came
 */
export async function printSourceTrial(
  source: Omit<NewSource, 'stream'>,
  seconds: number,
  show: (answer: unknown, text: () => string) => void,
): Promise<number> {
  const settings = parseNewSource(source)
  const metrics = createMetrics()
  const deps = {
    clock: systemClock,
    log: silentLog,
    metrics,
    events: createEvents(silentLog, metrics),
  }
  const ending = new AbortController()
  const end = () => ending.abort()
  process.once('SIGINT', end)
  try {
    const watch = { watchMs: seconds * 1000, signal: ending.signal }
    const findings = await trySource({ ...deps, pullOf }, settings, watch)
    show({ works: true, ...findings }, () => describe(findings))
    return 0
  } catch (error) {
    if (ending.signal.aborted || !(error instanceof PullError)) throw error
    const { reason, message } = error
    show({ works: false, reason, message }, () => `It does not work (${reason}): ${message}`)
    return 1
  } finally {
    process.off('SIGINT', end)
  }
}

function describe({ session, answeredAfterMs, keyFrameAfterMs }: SourceFindings): string {
  const { protocol, peer, tracks, transport, gop, bitrateBps, frameRate } = session
  const lines = tracks.map(({ kind, codec, video, audio }) => {
    const shape =
      video !== null
        ? `${video.widthPx}x${video.heightPx}`
        : audio !== null
          ? `${audio.sampleRateHz} Hz, ${audio.channels} channels`
          : ''
    return `${kind}: ${codec} ${shape}`.trimEnd()
  })
  const keyFrame = keyFrameAfterMs === null ? 'none came' : `after ${keyFrameAfterMs} ms`
  const interval =
    gop === null ? 'not seen twice' : `every ${gop.lastMs} ms, at most ${gop.maxMs} ms`
  return [
    `It works: ${protocol} from ${peer}, media after ${answeredAfterMs} ms`,
    ...lines,
    `${frameRate.toFixed(1)} frames/s, ${Math.round(bitrateBps / 1000)} kbit/s`,
    `first key frame: ${keyFrame}; key frames: ${interval}`,
    ...(transport === null
      ? []
      : [`over ${transport.lower}: ${transport.packetsLost} packets lost`]),
  ].join('\n')
}
