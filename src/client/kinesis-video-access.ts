import type { AccessKey } from '../platform/sigv4/sign-request.ts'

/** Whom to call, and as who. */
export type KinesisVideoAccess = {
  /**
   * Such as `http://localhost:8080`. Kinora serves all of the API at one address; of AWS it is the
   * answer of GetDataEndpoint.
   */
  readonly endpoint: string | URL
  readonly credentials: AccessKey
  /** Default `us-east-1`; a Kinora takes any. */
  readonly region?: string
}

/** A stream, by exactly one of the two. */
export type StreamReference =
  | { readonly streamName: string; readonly streamArn?: never }
  | { readonly streamArn: string; readonly streamName?: never }
