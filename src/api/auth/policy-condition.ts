import { BlockList, isIP } from 'node:net'
import { parseGlob, type Facts } from './glob.ts'

/** Of a condition on a request. `unknown`: it asks for what is not evaluated here. */
export type ConditionVerdict = 'holds' | 'fails' | 'unknown'
export type Condition = (facts: Facts) => ConditionVerdict

/**
 * A statement's Condition element (IAM User Guide, "IAM JSON policy elements: Condition"): every
 * operator, and every key below it, has to hold; of a key's values one. The operators for texts,
 * numbers, dates, booleans, addresses and ARNs are known, with their `IfExists` forms and the
 * quantifiers for sets.
 */
export function parseCondition(raw: unknown): Condition {
  if (raw === undefined) return () => 'holds'
  if (!isObject(raw)) return () => 'unknown'
  const tests = Object.entries(raw).flatMap(([operator, keys]) =>
    isObject(keys)
      ? Object.entries(keys).map(([key, values]) => parseTest(operator, key, toTexts(values)))
      : [() => 'unknown' as const],
  )
  return (facts) => {
    let verdict: ConditionVerdict = 'holds'
    for (const test of tests) {
      const one = test(facts)
      if (one === 'fails') return 'fails' // whatever the others are
      if (one === 'unknown') verdict = 'unknown'
    }
    return verdict
  }
}

function parseTest(operator: string, key: string, values: readonly string[]): Condition {
  const [, quantifier, name = '', ifExists] = OPERATOR.exec(operator.toLowerCase()) ?? []
  const lowerKey = key.toLowerCase()
  if (name === 'null') return toNullTest(lowerKey, values)
  const negated = NEGATED[name] !== undefined
  const toMatch = MATCHES[NEGATED[name] ?? name]
  const matches = toMatch === undefined ? [null] : values.map(toMatch)
  const known = matches.filter((match) => match !== null)
  if (known.length !== matches.length) return () => 'unknown'
  return (facts) => {
    const actual = facts(lowerKey)
    if (actual === undefined) return 'unknown'
    // A key that the request has no value of: true of what it is not, and of all its (no) values.
    if (actual === null) {
      return toVerdict(ifExists !== undefined || quantifier === 'forallvalues' || negated)
    }
    const outcomes = known.map((match) => match(actual, facts))
    if (outcomes.includes(true)) return toVerdict(!negated)
    return outcomes.includes(null) ? 'unknown' : toVerdict(negated)
  }
}

const OPERATOR = /^(?:(forallvalues|foranyvalue):)?([a-z]+?)(ifexists)?$/

/** Whether a key's value is as the policy says; `null` when this request cannot tell. */
type Match = (actual: string, facts: Facts) => boolean | null

/** By operator: what one value of the policy makes; `null` when it is not of the operator's type. */
const MATCHES: Readonly<Record<string, (value: string) => Match | null>> = {
  stringequals: toEquality,
  stringequalsignorecase: (value) => {
    const equality = toEquality(value.toLowerCase())
    return (actual, facts) => equality(actual.toLowerCase(), facts)
  },
  stringlike: parseGlob,
  arnequals: toArnMatch,
  arnlike: toArnMatch,
  bool: (value) => {
    const wanted = value.toLowerCase()
    return wanted === 'true' || wanted === 'false'
      ? (actual) => actual.toLowerCase() === wanted
      : null
  },
  ipaddress: toAddressMatch,
  numericequals: comparing(Number, (a, b) => a === b),
  numericlessthan: comparing(Number, (a, b) => a < b),
  numericlessthanequals: comparing(Number, (a, b) => a <= b),
  numericgreaterthan: comparing(Number, (a, b) => a > b),
  numericgreaterthanequals: comparing(Number, (a, b) => a >= b),
  dateequals: comparing(toTime, (a, b) => a === b),
  datelessthan: comparing(toTime, (a, b) => a < b),
  datelessthanequals: comparing(toTime, (a, b) => a <= b),
  dategreaterthan: comparing(toTime, (a, b) => a > b),
  dategreaterthanequals: comparing(toTime, (a, b) => a >= b),
}

const NEGATED: Readonly<Record<string, string>> = {
  stringnotequals: 'stringequals',
  stringnotequalsignorecase: 'stringequalsignorecase',
  stringnotlike: 'stringlike',
  arnnotequals: 'arnequals',
  arnnotlike: 'arnlike',
  notipaddress: 'ipaddress',
  numericnotequals: 'numericequals',
  datenotequals: 'dateequals',
}

/** Stars and question marks are themselves; variables are replaced. */
function toEquality(value: string): Match {
  return parseGlob(
    value.replace(/(\$\{[^}]*\})|[*?]/g, (found, variable: string | undefined) =>
      variable === undefined ? `\${${found}}` : variable,
    ),
  )
}

/** IAM: the six parts are compared each for itself, so that a star does not reach over a colon. */
function toArnMatch(value: string): Match | null {
  if (value === '*') return () => true
  const parts = splitArn(value)?.map(parseGlob)
  if (parts === undefined) return null
  return (actual, facts) => {
    const others = splitArn(actual)
    if (others === null) return false
    const outcomes = parts.map((matches, i) => matches(others[i]!, facts))
    if (outcomes.includes(false)) return false
    return outcomes.includes(null) ? null : true
  }
}

function splitArn(text: string): readonly string[] | null {
  const parts = text.split(':')
  return parts.length < 6 ? null : [...parts.slice(0, 5), parts.slice(5).join(':')]
}

/** An address or a CIDR block. */
function toAddressMatch(value: string): Match | null {
  const [address = '', prefix] = value.split('/')
  const family = isIP(address)
  const bits = family === 4 ? 32 : 128
  const length = prefix === undefined ? bits : Number(prefix)
  if (family === 0 || !(Number.isInteger(length) && length >= 0 && length <= bits)) return null
  const block = new BlockList()
  block.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6')
  return (actual) => {
    const plain = actual.replace(/^::ffff:(?=\d+\.)/i, '') // IPv4 on a socket of both families
    const actualFamily = isIP(plain)
    return actualFamily === family && block.check(plain, family === 4 ? 'ipv4' : 'ipv6')
  }
}

function comparing(
  read: (text: string) => number,
  compare: (actual: number, value: number) => boolean,
): (value: string) => Match | null {
  return (value) => {
    const limit = value.trim() === '' ? Number.NaN : read(value)
    return Number.isNaN(limit) ? null : (actual) => compare(read(actual), limit)
  }
}

/** ISO 8601, or seconds since 1970. */
function toTime(text: string): number {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text)
}

/** `{"Null": {"<key>": "true"}}`: the request has no value of the key. */
function toNullTest(key: string, values: readonly string[]): Condition {
  const wanted = values.map((value) => value.toLowerCase())
  if (wanted.some((value) => value !== 'true' && value !== 'false')) return () => 'unknown'
  return (facts) => {
    const actual = facts(key)
    return actual === undefined ? 'unknown' : toVerdict(wanted.includes(String(actual === null)))
  }
}

function toVerdict(holds: boolean): ConditionVerdict {
  return holds ? 'holds' : 'fails'
}

function toTexts(values: unknown): readonly string[] {
  return (Array.isArray(values) ? values : [values]).map(String)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
