import { string } from '../../aws/input-schema.ts'
import { invalid } from '../stream-reference.ts'

/** Uri of a DestinationConfig. */
export const destinationUri = string({
  min: 1,
  max: 255,
  pattern: '[a-zA-Z_0-9]+:(//)?([^/]+)/?([^*]*)',
})

/**
 * Refuses at once what nothing could ever be delivered to, rather than never deliver.
 *
 * @param kinds name them, for the message
 * @throws ServiceError `invalid-argument`/`InvalidArgumentException`
 */
export function requireDeliverable(uri: string, kinds: readonly DestinationKind[]): void {
  if (kinds.some((kind) => IS_KIND[kind](uri))) return
  throw invalid(`DestinationConfig.Uri ${uri} is not supported: it must be ${kinds.join(' or ')}.`)
}

export type DestinationKind = keyof typeof IS_KIND

const IS_KIND = {
  's3://bucket/prefix': (uri: string) => /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/|$)/.test(uri),
  'an http or https URL': (uri: string) => /^https?:\/\//i.test(uri) && URL.canParse(uri),
  'the ARN of an SNS topic': (uri: string) =>
    /^arn:[a-z\d-]+:sns:[a-z0-9-]+:[0-9]+:[a-zA-Z0-9_.-]+$/.test(uri),
}
