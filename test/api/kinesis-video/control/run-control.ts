import { once } from 'node:events'
import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { KinesisVideoClient } from '@aws-sdk/client-kinesis-video'
import { onTestFinished } from 'vitest'
import { signRequest } from '../../../../src/platform/sigv4/sign-request.ts'
import type { KinesisVideoApiParts } from '../../../../src/api/kinesis-video/index.ts'
import { ACCESS_KEY, runKinesisVideoApi } from '../running-video-api.ts'

/** The running API with a stream `x` in it, the unmodified SDK client, and calls without any client. */
export async function runControl(replace: Partial<KinesisVideoApiParts> = {}) {
  const running = await runKinesisVideoApi(new Map(), replace)
  const endpoint = `http://127.0.0.1:${running.port}`
  const client = new KinesisVideoClient({
    ...{ endpoint, region: 'us-west-2', credentials: ACCESS_KEY, maxAttempts: 1 },
  })
  onTestFinished(() => client.destroy())
  const streamArn = () =>
    `arn:aws:kinesisvideo:us-west-2:123456789012:stream/x/${running.registry.get('x').createdAt}`
  return { ...running, client, endpoint, streamArn, call: callOf(running.port) }
}

export type Answer = {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly type: string | undefined
  readonly body: Record<string, unknown>
}

/** One signed request as bytes, without any client between. Text goes as it is. */
function callOf(port: number) {
  return async (path: string, input: unknown, host = `127.0.0.1:${port}`): Promise<Answer> => {
    const body = Buffer.from(typeof input === 'string' ? input : JSON.stringify(input))
    const signature = signRequest({ method: 'POST', target: path, headers: { host } }, body, {
      ...{ key: ACCESS_KEY, region: 'us-west-2', service: 'kinesisvideo', now: new Date() },
    })
    const call = request({
      ...{ host: '127.0.0.1', port, path, method: 'POST', headers: { host, ...signature } },
    })
    call.end(body)
    const [response] = (await once(call, 'response')) as [IncomingMessage]
    const answer = await text(response)
    return {
      status: response.statusCode!,
      headers: response.headers,
      type: response.headers['x-amzn-errortype'] as string | undefined,
      body: JSON.parse(answer) as Record<string, unknown>,
    }
  }
}
