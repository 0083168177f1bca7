import type { KinesisVideoAccess, StreamReference } from './kinesis-video-access.ts'
import { toReference, toSeconds } from './get-media.ts'
import { callOperation } from './send-signed.ts'

export type GetClipOptions = KinesisVideoAccess &
  StreamReference & {
    readonly from: Date
    /** Fragments that begin up to then. */
    readonly to: Date
    /** Whose clock the times are of; default `producer`. */
    readonly by?: 'producer' | 'server'
    readonly signal?: AbortSignal
  }

/**
 * Yields an MP4 file of a range as GetClip sends it.
 *
 * @throws ServiceError when the call is refused, with the exception's name as code;
 *   `unavailable`/`ServiceUnreachable`
 */
export async function* getClip(
  options: GetClipOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { from, to, by = 'producer', signal } = options
  const input = {
    ...toReference(options),
    ClipFragmentSelector: {
      FragmentSelectorType: by === 'producer' ? 'PRODUCER_TIMESTAMP' : 'SERVER_TIMESTAMP',
      TimestampRange: { StartTimestamp: toSeconds(from), EndTimestamp: toSeconds(to) },
    },
  }
  const response = await callOperation(options, '/getClip', { input, signal })
  try {
    for await (const bytes of response) yield bytes as Buffer
  } finally {
    response.destroy()
  }
}
