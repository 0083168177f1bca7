import { publishFile } from '../platform/av/publish-file.ts'
import type { Clock } from '../platform/clock.ts'
import type { Log } from '../observe/log.ts'

export type DemoCameraOptions = {
  readonly videoPath: string
  readonly url: string
  readonly clock: Clock
  readonly log: Log
}

const RECONNECT_MS = 2_000

/** A camera that publishes a file over RTMP for ever and comes back when it is cut off. */
export async function runDemoCamera(
  options: DemoCameraOptions,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = options
  while (!signal.aborted) {
    try {
      const publish = {
        path: options.videoPath,
        url: options.url,
        rounds: Infinity,
        realtime: true,
        maxSeconds: Infinity,
      }
      await publishFile(publish, clock, signal)
    } catch (error) {
      if (signal.aborted) return
      log.warn({ err: error }, 'demo camera was cut off')
      await clock.sleep(RECONNECT_MS, signal).catch(() => undefined) // aborted: the loop ends
    }
  }
}
