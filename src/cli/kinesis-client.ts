import { signRequest, type AccessKey } from '../api/auth/index.ts'
import { toHttpUrl, type Config } from '../config/index.ts'
import { ServiceError } from '../domain/errors.ts'
import { openCredentials } from '../registry/index.ts'

/** Calls an operation of the service's Kinesis API; resolves with its answer. */
export type KinesisCall = <T>(operation: string, input: object) => Promise<T>

/** With the first access key of the configuration, else the one of the data directory. */
export async function connectKinesis(config: Config): Promise<KinesisCall> {
  const url = new URL(process.env.KINORA_URL ?? toHttpUrl(config))
  const key = config.auth.accessKeys[0] ?? (await openCredentials(config.dataDirectory))
  return <T>(operation: string, input: object) =>
    callKinesis(url, { key, region: config.aws.region }, { operation, input }) as Promise<T>
}

async function callKinesis(
  url: URL,
  credentials: { readonly key: AccessKey; readonly region: string },
  { operation, input }: { readonly operation: string; readonly input: object },
): Promise<unknown> {
  const body = Buffer.from(JSON.stringify(input))
  const headers = {
    host: url.host,
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': `Kinesis_20131202.${operation}`,
  }
  const signed = signRequest({ method: 'POST', target: '/', headers }, body, {
    ...credentials,
    service: 'kinesis',
    now: new Date(),
  })
  let response: Response
  try {
    response = await fetch(new URL('/', url), {
      ...{ method: 'POST', headers: { ...headers, ...signed }, body },
    })
  } catch (error) {
    throw new ServiceError(
      'unavailable',
      'ServiceUnreachable',
      `No service answers at ${url.origin}. Start it with: kinora serve`,
      { cause: error },
    )
  }
  const text = await response.text()
  const answer: unknown = text === '' ? null : JSON.parse(text)
  if (response.ok) return answer
  const { __type: type = 'Refused', message = `HTTP ${response.status}` } = answer as {
    __type?: string
    message?: string
  }
  throw new ServiceError('conflict', type, message)
}
