/** A local credential for the AWS-compatible APIs. */
export type AccessKey = { readonly accessKeyId: string; readonly secretAccessKey: string }

/** The credentials that exist; `null` for an unknown id. */
export type AccessKeys = { readonly find: (accessKeyId: string) => AccessKey | null }

export function createAccessKeys(keys: readonly AccessKey[]): AccessKeys {
  const byId = new Map(keys.map((key) => [key.accessKeyId, key]))
  return { find: (accessKeyId) => byId.get(accessKeyId) ?? null }
}
