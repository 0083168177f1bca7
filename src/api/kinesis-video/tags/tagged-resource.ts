import type { Tags } from '../../../registry/index.ts'
import type { KinesisVideoService } from '../operation.ts'
import { changeChannel, findChannel, parseChannelArn } from '../signaling/channel-reference.ts'
import { canonicalArn, findStream } from '../stream-reference.ts'
import { changeStream } from '../streams/change-stream.ts'

/** What policies are asked about. */
export function taggedResource(
  { ResourceARN }: { readonly ResourceARN: string },
  service: KinesisVideoService,
): string {
  return canonicalArn(service, ResourceARN)
}

/** @throws ServiceError `not-found`/`ResourceNotFoundException` */
export function tagsOf(service: KinesisVideoService, arn: string): Tags {
  return parseChannelArn(arn) === null
    ? findStream(service, { StreamARN: arn }).tags
    : findChannel(service, { ChannelARN: arn }).tags
}

/**
 * Changes the tags of the stream or the channel that has the ARN.
 *
 * @throws ServiceError `not-found`/`ResourceNotFoundException`, `limit-exceeded`/`TooManyTags`
 */
export async function changeTags(
  service: KinesisVideoService,
  arn: string,
  change: (tags: Tags) => Tags,
): Promise<void> {
  const changeIt = ({ tags }: { readonly tags: Tags }) => ({ tags: change(tags) })
  if (parseChannelArn(arn) === null) await changeStream(service, { StreamARN: arn }, changeIt)
  else await changeChannel(service, { ChannelARN: arn }, changeIt)
}
