/** What an access key must be used with. */
export type AccessKeyTerms = {
  readonly secretAccessKey: string
  /** Of temporary credentials: a request without it is refused. */
  readonly sessionToken?: string | undefined
  /** Milliseconds since 1970 from which on the session token does not hold; absent: never. */
  readonly expiresAt?: number | undefined
}

/**
 * Looks up an access key for the AWS-compatible APIs; `null` for an unknown id. Asked for each
 * request, so a key that is taken away is refused at once.
 */
export type AccessKeys = (accessKeyId: string) => AccessKeyTerms | null
