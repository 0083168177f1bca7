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

/** A URL at which an HLS player gets a stream, or a range of it, until the session expires. */
export const getHlsStreamingSessionUrl = defineOperation({
  name: 'GetHLSStreamingSessionURL',
  differs:
    'A live session of a stream without media in the last 30 s is opened, and waits. Codec parameters, codecs ' +
    'and tracks may change in a session as often as they like. LIVE lists more than 5 fragments by default ' +
    'where these are shorter than three target durations.',
  input: structure({
    ...streamReference,
    ...sessionMembers,
    HLSFragmentSelector: sessionSelector,
    ContainerFormat: oneOf(['FRAGMENTED_MP4', 'MPEG_TS']),
    DiscontinuityMode: oneOf(['ALWAYS', 'NEVER', 'ON_DISCONTINUITY']),
    MaxMediaPlaylistFragmentResults: maxFragmentResults,
  }),
  resource: streamResource,
  handle: async (input, call) => {
    const HLSStreamingSessionURL = await openSessionUrl(call, input, {
      operation: 'GetHLSStreamingSessionURL',
      protocol: 'HLS',
      container: input.ContainerFormat ?? 'FRAGMENTED_MP4',
      path: '/hls/v1/getHLSMasterPlaylist.m3u8',
      expiresS: input.Expires,
      toRequest: () => {
        const selection = toSelection({
          mode: input.PlaybackMode ?? 'LIVE',
          selector: input.HLSFragmentSelector,
          selectorName: 'HLSFragmentSelector',
          maxFragments: input.MaxMediaPlaylistFragmentResults,
          now: call.service.clock.now(),
        })
        const usual = selection.clock === 'server' ? 'ALWAYS' : 'NEVER'
        return {
          ...selection,
          discontinuities: input.DiscontinuityMode ?? usual,
          showTimestamps: input.DisplayFragmentTimestamp === 'ALWAYS',
          showNumbers: false,
        }
      },
    })
    return { HLSStreamingSessionURL }
  },
})
