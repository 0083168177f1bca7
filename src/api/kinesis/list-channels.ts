import { integer, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { nextToken } from './paging-token.ts'

/** ListChannels: there are no channels. */
export const listChannels = defineOperation(
  'ListChannels',
  structure({ MaxResults: integer({ min: 1, max: 100 }), NextToken: nextToken }),
  () => Promise.resolve({ ChannelSummaries: [] }),
)
