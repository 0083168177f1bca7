import {
  GetDASHStreamingSessionURLCommand,
  GetHLSStreamingSessionURLCommand,
  KinesisVideoArchivedMediaClient,
  type GetDASHStreamingSessionURLInput,
  type GetHLSStreamingSessionURLInput,
} from '@aws-sdk/client-kinesis-video-archived-media'
import { onTestFinished } from 'vitest'
import type { KinesisVideoApiParts } from '../../../../src/api/kinesis-video/index.ts'
import { ACCESS_KEY, runKinesisVideoApi } from '../running-video-api.ts'

type Asked<T> = Omit<T, 'StreamName' | 'StreamARN'> & { readonly StreamName?: string }

/** The unmodified SDK client before the API with a stream `x`, until the test ends. */
export async function runSessions(replace: Partial<KinesisVideoApiParts> = {}) {
  const running = await runKinesisVideoApi(new Map(), replace)
  const client = new KinesisVideoArchivedMediaClient({
    endpoint: `http://127.0.0.1:${running.port}`,
    region: 'us-west-2',
    credentials: ACCESS_KEY,
    maxAttempts: 1,
  })
  onTestFinished(() => client.destroy())
  return {
    ...running,
    client,
    hls: async (asked: Asked<GetHLSStreamingSessionURLInput> = {}) => {
      const command = new GetHLSStreamingSessionURLCommand({ StreamName: 'x', ...asked })
      return (await client.send(command)).HLSStreamingSessionURL!
    },
    dash: async (asked: Asked<GetDASHStreamingSessionURLInput> = {}) => {
      const command = new GetDASHStreamingSessionURLCommand({ StreamName: 'x', ...asked })
      return (await client.send(command)).DASHStreamingSessionURL!
    },
  }
}

/** A range by the producer's clock, or by the server's. */
export function selector(
  type: 'PRODUCER_TIMESTAMP' | 'SERVER_TIMESTAMP',
  from: number,
  to?: number,
) {
  return {
    FragmentSelectorType: type,
    TimestampRange: {
      StartTimestamp: new Date(from),
      ...(to !== undefined && { EndTimestamp: new Date(to) }),
    },
  }
}

export async function getText(url: string): Promise<string> {
  const response = await fetch(url)
  const text = await response.text()
  if (!response.ok) throw new Error(`${url}: HTTP ${response.status}: ${text}`)
  return text
}
