import { toConsumerMembers } from './consumer-address.ts'
import { integer, required, structure, timestamp } from '../aws/input-schema.ts'
import { defineOperation } from './operation.ts'
import { nextToken, openPage, sealPage } from './paging-token.ts'
import { invalid, refuseOtherGeneration, streamArn, toStreamName } from './stream-address.ts'

const NAME = 'ListStreamConsumers'
const MAX_CONSUMERS = 100

/** ListStreamConsumers: in the order of the names, page by page. */
export const listStreamConsumers = defineOperation(
  NAME,
  structure({
    StreamARN: required(streamArn),
    NextToken: nextToken,
    MaxResults: integer({ min: 1, max: 10_000 }),
    StreamCreationTimestamp: timestamp(),
  }),
  async (input, call) => {
    const { dataStreams, sealer, clock } = call.service
    const stream = toStreamName(input, call.service)
    const { createdAt } = dataStreams.describe(stream)
    if (input.NextToken !== undefined && input.StreamCreationTimestamp !== undefined) {
      throw invalid('NextToken cannot be provided with StreamCreationTimestamp.')
    }
    refuseOtherGeneration(stream, input.StreamCreationTimestamp, createdAt)
    const page =
      input.NextToken === undefined
        ? { stream, createdAt, after: '' }
        : (openPage(sealer, NAME, input.NextToken, clock.now()) as Page)
    if (page.stream !== stream) throw invalid('NextToken and StreamARN must name the same stream.')
    refuseOtherGeneration(stream, page.createdAt, createdAt)
    const limit = Math.min(input.MaxResults ?? MAX_CONSUMERS, MAX_CONSUMERS)
    const left = dataStreams
      .consumers(stream)
      .list()
      .filter(({ name }) => name > page.after)
    const consumers = left.slice(0, limit)
    const next: Page = { ...page, after: consumers.at(-1)?.name ?? page.after }
    return {
      Consumers: consumers.map((consumer) => toConsumerMembers({ stream, consumer }, call)),
      ...(left.length > limit && { NextToken: sealPage(sealer, NAME, next, clock.now()) }),
    }
  },
)

type Page = {
  readonly stream: string
  readonly createdAt: Parameters<typeof refuseOtherGeneration>[2]
  readonly after: string
}
