import {
  parsePolicy,
  type AccessKeys,
  type IdentityPolicies,
  type Policy,
} from './api/auth/index.ts'
import type { Config } from './config/index.ts'
import { ServiceError } from './domain/errors.ts'

export type AwsAccess = {
  readonly accessKeys: AccessKeys
  readonly identityPolicies: IdentityPolicies
  /** Hosts by which calls without a signature may come; `undefined`: none may. */
  readonly openTo: readonly string[] | undefined
}

/**
 * Who may call the AWS APIs.
 *
 * @param keys those of the configuration, or the service's own when it names none
 * @throws ServiceError `invalid-argument`/`InvalidConfig`
 */
export function readAwsAccess(
  { auth }: Config,
  keys: Config['auth']['accessKeys'],
  openHosts: readonly string[],
): AwsAccess {
  return {
    accessKeys: readAccessKeys(keys),
    openTo: auth.awsSignatures === 'off' ? openHosts : undefined,
    identityPolicies: readPolicies(auth.accessKeys),
  }
}

function readAccessKeys(keys: Config['auth']['accessKeys']): AccessKeys {
  const terms = new Map(
    keys.map(({ accessKeyId, secretAccessKey, sessionToken, expires }) => [
      accessKeyId,
      {
        ...{ secretAccessKey, sessionToken },
        expiresAt: expires === undefined ? undefined : Date.parse(expires),
      },
    ]),
  )
  return (accessKeyId) => terms.get(accessKeyId) ?? null
}

function readPolicies(keys: Config['auth']['accessKeys']): IdentityPolicies {
  const policies = new Map<string, Policy>()
  for (const { accessKeyId, policy } of keys) {
    if (policy === undefined) continue
    const parsed = parsePolicy(JSON.stringify(policy))
    if ('problem' in parsed) {
      throw new ServiceError(
        'invalid-argument',
        'InvalidConfig',
        `auth.accessKeys: the policy of ${accessKeyId} is not valid: ${parsed.problem}`,
      )
    }
    policies.set(accessKeyId, parsed)
  }
  return (accessKeyId) => policies.get(accessKeyId) ?? null
}
