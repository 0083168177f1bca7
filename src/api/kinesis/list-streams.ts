import { integer, structure } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { nextToken, openPage, sealPage } from './paging-token.ts'
import { streamName, toStreamArn } from './stream-address.ts'

const NAME = 'ListStreams'
const MAX_STREAMS = 100

/** ListStreams: in the order of the names. */
export const listStreams = defineOperation(
  NAME,
  structure({
    Limit: integer({ min: 1, max: 10_000 }),
    ExclusiveStartStreamName: streamName,
    NextToken: nextToken,
  }),
  async (input, { service, codec }) => {
    const { dataStreams, sealer, clock } = service
    const page =
      input.NextToken === undefined
        ? { after: input.ExclusiveStartStreamName ?? '' }
        : (openPage(sealer, NAME, input.NextToken, clock.now()) as { after: string })
    const limit = Math.min(input.Limit ?? MAX_STREAMS, MAX_STREAMS)
    const left = dataStreams.list().filter((name) => name > page.after)
    const names = left.slice(0, limit)
    const more = left.length > limit
    return {
      StreamNames: names,
      HasMoreStreams: more,
      ...(more && { NextToken: sealPage(sealer, NAME, { after: names.at(-1) }, clock.now()) }),
      StreamSummaries: names.map((name) => {
        const { status, createdAt } = dataStreams.describe(name)
        return {
          StreamName: name,
          StreamARN: toStreamArn(name, service),
          StreamStatus: status,
          StreamModeDetails: { StreamMode: dataStreams.settings(name).mode },
          StreamCreationTimestamp: codec.writeTimestamp(createdAt),
        }
      }),
    }
  },
)
