import { parseGlob, type Facts, type Glob } from './glob.ts'
import { parseCondition, type Condition } from './policy-condition.ts'

/**
 * IAM policies as far as they are evaluated here: Effect, Principal, Action, Resource with their Not
 * forms, wildcards and variables, and Condition. A statement with a condition or a variable that is
 * not understood never allows and always denies: the safe reading of what cannot be read.
 */
export type Policy = { readonly statements: readonly Statement[] }

type Statement = {
  readonly effect: 'Allow' | 'Deny'
  readonly principals: Matcher | null
  readonly actions: Matcher
  readonly resources: Matcher
  readonly condition: Condition
}
type Matcher = { readonly globs: readonly Glob[]; readonly negated: boolean }

export type AccessRequest = {
  /** ARN, account and key id of the caller: a statement may name any of them. */
  readonly principals: readonly string[]
  /** Such as `kinesis:PutRecord`. */
  readonly action: string
  readonly resource: string
  /** What conditions and variables ask for. */
  readonly facts: Facts
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
  const actions = toMatcher(raw, 'Action', (name) => parseGlob(name.toLowerCase()))
  const resources = toMatcher(raw, 'Resource', parseGlob)
  if (actions === null) return { problem: 'a Statement has no Action' }
  if (resources === null) return { problem: 'a Statement has no Resource' }
  return {
    effect: Effect,
    principals: toMatcher(raw, 'Principal', parseGlob),
    actions,
    resources,
    condition: parseCondition(raw.Condition),
  }
}

/** `null` when the statement has neither the element nor its Not form. */
function toMatcher(
  statement: Readonly<Record<string, unknown>>,
  element: string,
  toGlob: (text: string) => Glob,
): Matcher | null {
  const negated = statement[element] === undefined
  const raw = statement[negated ? `Not${element}` : element]
  if (raw === undefined) return null
  // A principal may be {"AWS": [...]}; other kinds name services, which nobody here is.
  const values = isObject(raw) ? toList(raw.AWS ?? []) : toList(raw)
  const globs = values.filter((value) => typeof value === 'string').map(toGlob)
  return { globs, negated }
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
    const speaks = speaksOf(statement, request, kind)
    if (speaks === false) continue
    if (statement.effect === 'Deny') return 'deny'
    if (speaks === true) verdict = 'allow'
  }
  return verdict
}

/** `null` when it cannot be told. */
function speaksOf(
  { principals, actions, resources, condition }: Statement,
  request: AccessRequest,
  kind: 'identity' | 'resource',
): boolean | null {
  const { facts } = request
  const named: (boolean | null)[] = [matches(actions, [request.action.toLowerCase()], facts)]
  if (kind === 'resource') {
    named.push(principals !== null && matches(principals, request.principals, facts))
  }
  named.push(matches(resources, [request.resource], facts))
  if (named.includes(false)) return false
  const verdict = condition(facts)
  if (verdict === 'fails') return false
  return verdict === 'unknown' || named.includes(null) ? null : true
}

function matches(
  { globs, negated }: Matcher,
  texts: readonly string[],
  facts: Facts,
): boolean | null {
  const outcomes = globs.flatMap((glob) => texts.map((text) => glob(text, facts)))
  if (outcomes.includes(true)) return !negated
  return outcomes.includes(null) ? null : negated
}

function toList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [value]
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
