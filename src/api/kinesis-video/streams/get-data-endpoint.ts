import { oneOf, required, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { findStream, streamReference, streamResource } from '../stream-reference.ts'

/** Where the operations on a stream's media are: here, by the way that the client came. */
export const getDataEndpoint = defineOperation({
  name: 'GetDataEndpoint',
  differs:
    'All APIs have one address: `publicUrl` if it is configured, else the one that was called.',
  input: structure({
    ...streamReference,
    APIName: required(
      oneOf([
        'PUT_MEDIA',
        'GET_MEDIA',
        'LIST_FRAGMENTS',
        'GET_MEDIA_FOR_FRAGMENT_LIST',
        'GET_HLS_STREAMING_SESSION_URL',
        'GET_DASH_STREAMING_SESSION_URL',
        'GET_CLIP',
        'GET_IMAGES',
      ]),
    ),
  }),
  resource: streamResource,
  handle: async (input, { service, origin }) => {
    findStream(service, input)
    return { DataEndpoint: origin }
  },
})
