import { fileURLToPath } from 'node:url'
import { KinesisVideoArchivedMediaClient } from '@aws-sdk/client-kinesis-video-archived-media'
import { onTestFinished } from 'vitest'
import type { Fragment } from '../../../../src/domain/fragment.ts'
import { CallLimit } from '../../../../src/api/kinesis-video/index.ts'
import { demux, type DemuxedFile } from '../../../playback/support/demux.ts'
import { record } from '../../../playback/support/record.ts'
import { ACCESS_KEY, runKinesisVideoApi } from '../running-video-api.ts'

export const FILM = fileURLToPath(
  new URL('../../../../fixtures/moving-shapes.mp4', import.meta.url),
)

/** The API before a real archive, and the unmodified SDK client before the API. */
export async function runArchivedMedia(archivedCalls = new CallLimit(100)) {
  const running = await runKinesisVideoApi(new Map(), { archivedCalls })
  const client = new KinesisVideoArchivedMediaClient({
    endpoint: `http://127.0.0.1:${running.port}`,
    region: 'us-west-2',
    credentials: ACCESS_KEY,
    maxAttempts: 1,
  })
  onTestFinished(() => client.destroy())
  const { archive, streamId } = running
  /** Stores a film as if it had been filmed from then on. */
  const store = (
    film: DemuxedFile,
    startMs: number,
    options: { readonly continues?: boolean } = {},
  ): Promise<readonly Fragment[]> => record(film, { archive, streamId, startMs, ...options })
  return { ...running, client, store }
}

/** An hour ago, on a whole second: inside of the retention. */
export function anHourAgo(): number {
  return Math.floor(Date.now() / 1000) * 1000 - 3_600_000
}

export const film = () => demux(FILM)

/** What an SDK error says of itself. */
export async function refusal(call: Promise<unknown>) {
  try {
    await call
  } catch (error) {
    const { name, message, $metadata } = error as Error & { $metadata: { httpStatusCode?: number } }
    return { name, message, status: $metadata.httpStatusCode }
  }
  throw new Error('it was not refused')
}
