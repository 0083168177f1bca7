import { ServiceError } from '../domain/errors.ts'
import type { KinesisVideoAccess, StreamReference } from './kinesis-video-access.ts'
import { FragmentSplitter, type ReceivedFragment } from './fragment-splitter.ts'
import { callOperation } from './send-signed.ts'

export type GetMediaOptions = KinesisVideoAccess &
  StreamReference & {
    /** Default: from now on. */
    readonly start?: MediaStart
    /** A fragment that is larger ends the call. Default 64 MiB. */
    readonly maxFragmentBytes?: number
    /** Ends the call; the iteration then rejects with its reason. */
    readonly signal?: AbortSignal
  }

/** Where to begin; fragment numbers and tokens name the fragment behind which. */
export type MediaStart =
  | 'now'
  | 'earliest'
  | { readonly producerTimestamp: Date }
  | { readonly serverTimestamp: Date }
  | { readonly afterFragmentNumber: string }
  | { readonly continuationToken: string }

const DEFAULT_MAX_FRAGMENT_BYTES = 64 * 1024 * 1024

/**
 * Yields the fragments of a stream as GetMedia delivers them, each once it is whole, for as long as
 * the service sends. Nothing is read ahead of what is asked for but what the connection holds.
 *
 * @throws ServiceError when the call is refused, with the exception's name as code;
 *   `unavailable`/`MediaError` when the service gives up; `malformed-media`/`MalformedMedia`,
 *   `limit-exceeded`/`FragmentTooLarge`, `unavailable`/`ServiceUnreachable`
 */
export async function* getMedia(
  options: GetMediaOptions,
): AsyncGenerator<ReceivedFragment, void, undefined> {
  const { signal, maxFragmentBytes = DEFAULT_MAX_FRAGMENT_BYTES } = options
  const input = { ...toReference(options), StartSelector: toSelector(options.start ?? 'now') }
  const response = await callOperation(options, '/getMedia', { input, signal })
  const splitter = new FragmentSplitter(maxFragmentBytes)
  try {
    for await (const bytes of response) yield* splitter.push(bytes as Buffer)
  } catch (error) {
    signal?.throwIfAborted()
    if (error instanceof ServiceError) throw error
    throw new ServiceError('unavailable', 'MediaError', 'The connection broke off.', {
      cause: error,
    })
  } finally {
    response.destroy()
  }
}

export function toReference({ streamName, streamArn }: StreamReference): object {
  return streamName === undefined ? { StreamARN: streamArn } : { StreamName: streamName }
}

function toSelector(start: MediaStart): object {
  if (start === 'now') return { StartSelectorType: 'NOW' }
  if (start === 'earliest') return { StartSelectorType: 'EARLIEST' }
  if ('afterFragmentNumber' in start) {
    const { afterFragmentNumber: AfterFragmentNumber } = start
    return { StartSelectorType: 'FRAGMENT_NUMBER', AfterFragmentNumber }
  }
  if ('continuationToken' in start) {
    const { continuationToken: ContinuationToken } = start
    return { StartSelectorType: 'CONTINUATION_TOKEN', ContinuationToken }
  }
  return 'producerTimestamp' in start
    ? {
        StartSelectorType: 'PRODUCER_TIMESTAMP',
        StartTimestamp: toSeconds(start.producerTimestamp),
      }
    : { StartSelectorType: 'SERVER_TIMESTAMP', StartTimestamp: toSeconds(start.serverTimestamp) }
}

export function toSeconds(time: Date): number {
  return time.getTime() / 1000
}
