/**
 * IAM policies as far as they are evaluated here: Effect, Principal, Action, Resource with their Not
 * forms and wildcards. A statement with a Condition that is not understood never allows and always
 * denies: the safe reading of what cannot be read.
 */
export type Policy = { readonly statements: readonly Statement[] }

type Statement = {
  readonly effect: 'Allow' | 'Deny'
  readonly principals: Matcher | null
  readonly actions: Matcher
  readonly resources: Matcher
  readonly conditional: boolean
}
type Matcher = { readonly patterns: readonly RegExp[]; readonly negated: boolean }

export type AccessRequest = {
  /** ARN, account and key id of the caller: a statement may name any of them. */
  readonly principals: readonly string[]
  /** Such as `kinesis:PutRecord`. */
  readonly action: string
  readonly resource: string
}

/** @returns the policy, or in a word what is wrong with the text */
export function parsePolicy(text: string): Policy | { readonly problem: string } {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    return { problem: 'it is not JSON' }
  }
  if (!isObject(document)) return { problem: 'it is not a JSON object' }
  const { Statement } = document
  if (Statement === undefined) return { problem: 'it has no Statement' }
  const statements: Statement[] = []
  for (const raw of toList(Statement)) {
    const statement = parseStatement(raw)
    if ('problem' in statement) return statement
    statements.push(statement)
  }
  return { statements }
}

function parseStatement(raw: unknown): Statement | { readonly problem: string } {
  if (!isObject(raw)) return { problem: 'a Statement is not an object' }
  const { Effect } = raw
  if (Effect !== 'Allow' && Effect !== 'Deny') return { problem: 'Effect is not Allow or Deny' }
  const actions = toMatcher(raw, 'Action', (name) => globOf(name.toLowerCase()))
  const resources = toMatcher(raw, 'Resource', globOf)
  if (actions === null) return { problem: 'a Statement has no Action' }
  if (resources === null) return { problem: 'a Statement has no Resource' }
  return {
    effect: Effect,
    principals: toMatcher(raw, 'Principal', globOf),
    actions,
    resources,
    conditional: raw.Condition !== undefined,
  }
}

/** `null` when the statement has neither the element nor its Not form. */
function toMatcher(
  statement: Readonly<Record<string, unknown>>,
  element: string,
  toPattern: (text: string) => RegExp,
): Matcher | null {
  const negated = statement[element] === undefined
  const raw = statement[negated ? `Not${element}` : element]
  if (raw === undefined) return null
  // A principal may be {"AWS": [...]}; other kinds name services, which nobody here is.
  const values = isObject(raw) ? toList(raw.AWS ?? []) : toList(raw)
  const patterns = values.filter((value) => typeof value === 'string').map(toPattern)
  return { patterns, negated }
}

/** IAM: `*` stands for any characters, `?` for one. */
function globOf(text: string): RegExp {
  const escaped = text.replace(/[.+^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${escaped.replaceAll('*', '.*').replaceAll('?', '.')}$`, 's')
}

/**
 * What policies together say: a deny wins over every allow, and what nobody speaks of is neither.
 *
 * @param kind identity policies speak of their owner; resource policies name principals
 */
export function evaluate(
  policies: readonly Policy[],
  request: AccessRequest,
  kind: 'identity' | 'resource',
): 'allow' | 'deny' | 'none' {
  let verdict: 'allow' | 'none' = 'none'
  for (const statement of policies.flatMap(({ statements }) => statements)) {
    if (!speaksOf(statement, request, kind)) continue
    if (statement.effect === 'Deny') return 'deny'
    if (!statement.conditional) verdict = 'allow'
  }
  return verdict
}

function speaksOf(
  { principals, actions, resources }: Statement,
  request: AccessRequest,
  kind: 'identity' | 'resource',
): boolean {
  if (kind === 'resource') {
    if (principals === null || !matches(principals, request.principals)) return false
  }
  return matches(actions, [request.action.toLowerCase()]) && matches(resources, [request.resource])
}

function matches({ patterns, negated }: Matcher, texts: readonly string[]): boolean {
  return patterns.some((pattern) => texts.some((text) => pattern.test(text))) !== negated
}

function toList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value]
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
