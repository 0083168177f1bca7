import { ServiceError } from '../../domain/errors.ts'
import { toFacts, type Circumstances } from './circumstances.ts'
import { evaluate, parsePolicy, type Policy } from './policy.ts'

/** What an access key may do; `null`: everything, as the owner. */
export type IdentityPolicies = (accessKeyId: string) => Policy | null

export type AccessQuestion = {
  readonly accessKeyId: string
  /** Such as `kinesis:PutRecord`. */
  readonly action: string
  /** Its ARN, `*` for an operation about none. */
  readonly resource: string
  /** The resource's own, as JSON. */
  readonly resourcePolicies: readonly string[]
  readonly accountId: string
  readonly circumstances: Circumstances
  /** The resource's; absent: nobody knows them. */
  readonly resourceTags?: () => Readonly<Record<string, string>>
}

/**
 * Lets a call pass when the caller's own policy or the resource's allows it and neither denies it.
 *
 * @param identity the caller's policy; `null`: the owner's key, which may do everything
 * @throws `permission-denied`/`AccessDeniedException`
 */
export function requireAllowed(question: AccessQuestion, identity: Policy | null): void {
  const { accessKeyId, action, resource, accountId } = question
  const user = `arn:aws:iam::${accountId}:user/${accessKeyId}`
  const request = {
    principals: [user, accountId, `arn:aws:iam::${accountId}:root`, accessKeyId],
    action,
    resource,
    facts: toFacts(question, user),
  }
  const own = identity === null ? 'allow' : evaluate([identity], request, 'identity')
  const policies = question.resourcePolicies
    .map(parsePolicy)
    .filter((policy) => 'statements' in policy)
  const others = evaluate(policies, request, 'resource')
  const denied = own === 'deny' || others === 'deny'
  if (!denied && (own === 'allow' || others === 'allow')) return
  const reason = denied ? 'with an explicit deny' : `because no policy allows the ${action} action`
  throw new ServiceError(
    'permission-denied',
    'AccessDeniedException',
    `User: ${user} is not authorized to perform: ${action} on resource: ${resource} ${reason}`,
  )
}
