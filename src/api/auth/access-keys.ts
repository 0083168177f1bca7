/**
 * Looks up the secret of an access key for the AWS-compatible APIs; `null` for an unknown id. Asked
 * for each request, so a key that is taken away is refused at once.
 */
export type AccessKeys = (accessKeyId: string) => string | null
