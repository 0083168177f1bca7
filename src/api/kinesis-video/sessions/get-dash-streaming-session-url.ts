import { oneOf, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { streamReference, streamResource } from '../stream-reference.ts'
import { openSessionUrl } from './open-url.ts'
import {
  maxFragmentResults,
  sessionMembers,
  sessionSelector,
  toSelection,
} from './session-request.ts'

/** A URL at which a DASH player gets a stream, or a range of it, until the session expires. */
export const getDashStreamingSessionUrl = defineOperation({
  name: 'GetDASHStreamingSessionURL',
  differs:
    'Gaps and changes of codec parameters begin another Period. A live session of a stream without media in ' +
    'the last 30 s is opened, and waits.',
  input: structure({
    ...streamReference,
    ...sessionMembers,
    DASHFragmentSelector: sessionSelector,
    DisplayFragmentNumber: oneOf(['ALWAYS', 'NEVER']),
    MaxManifestFragmentResults: maxFragmentResults,
  }),
  resource: streamResource,
  handle: async (input, call) => {
    const DASHStreamingSessionURL = await openSessionUrl(call, input, {
      operation: 'GetDASHStreamingSessionURL',
      protocol: 'DASH',
      container: 'FRAGMENTED_MP4',
      path: '/dash/v1/getDASHManifest.mpd',
      expiresS: input.Expires,
      toRequest: () => ({
        ...toSelection({
          mode: input.PlaybackMode ?? 'LIVE',
          selector: input.DASHFragmentSelector,
          selectorName: 'DASHFragmentSelector',
          maxFragments: input.MaxManifestFragmentResults,
          now: call.service.clock.now(),
        }),
        discontinuities: 'ON_DISCONTINUITY',
        showTimestamps: input.DisplayFragmentTimestamp === 'ALWAYS',
        showNumbers: input.DisplayFragmentNumber === 'ALWAYS',
      }),
    })
    return { DASHStreamingSessionURL }
  },
})
