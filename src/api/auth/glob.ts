/** What a request is like, by the lower-case name of a condition key. */
export type Facts = (
  key: string,
) => string | null /* the request has none */ | undefined /* not evaluated here */

/**
 * A text of a policy with wildcards and policy variables.
 *
 * @returns `null` when it has a variable that this request gives no value for
 */
export type Glob = (text: string, facts: Facts) => boolean | null

/**
 * IAM: `*` stands for any characters, `?` for one; `${aws:username}` for a fact of the request,
 * `${aws:username, 'none'}` with a default; `${*}`, `${?}` and `${$}` for the characters themselves.
 * The time to match is the product of both lengths at most, however many stars there are: who may
 * write a policy must not be able to stop the service with it.
 */
export function parseGlob(text: string): Glob {
  const parts = text.split(VARIABLE)
  // `split` puts the variable's text between what is left and right of it.
  const pieces = parts.map((part, i) => (i % 2 === 0 ? toTokens(part) : parseVariable(part)))
  const fixed = pieces.every((piece) => typeof piece !== 'function') ? pieces.flat() : null
  return (candidate, facts) => {
    if (fixed !== null) return matches(fixed, candidate)
    const tokens: number[] = []
    for (const piece of pieces) {
      const resolved = typeof piece === 'function' ? piece(facts) : piece
      if (resolved === null) return null
      tokens.push(...resolved)
    }
    return matches(tokens, candidate)
  }
}

const VARIABLE = /\$\{([^}]*)\}/
/** Besides these two a token is a UTF-16 code unit. */
const ANY = -1
const ONE = -2

function toTokens(text: string): number[] {
  return Array.from({ length: text.length }, (_, i) => {
    if (text[i] === '*') return ANY
    return text[i] === '?' ? ONE : text.charCodeAt(i)
  })
}

function toLiteral(text: string): number[] {
  return Array.from({ length: text.length }, (_, i) => text.charCodeAt(i))
}

function parseVariable(text: string): readonly number[] | ((facts: Facts) => number[] | null) {
  if (text === '*' || text === '?' || text === '$') return toLiteral(text)
  const [, key = text, fallback] = /^\s*([^,\s]+)\s*(?:,\s*'([^']*)'\s*)?$/.exec(text) ?? []
  return (facts) => {
    const value = facts(key.toLowerCase()) ?? fallback
    return value === undefined ? null : toLiteral(value)
  }
}

/** Greedy, going back to the last star only: an earlier one has nothing to give that it has not. */
function matches(tokens: readonly number[], text: string): boolean {
  let at = 0
  let token = 0
  let star = -1
  let starredTo = 0
  while (at < text.length) {
    const wanted = tokens[token]
    if (wanted === ANY) {
      star = token++
      starredTo = at
    } else if (wanted === ONE || wanted === text.charCodeAt(at)) {
      token++
      at++
    } else if (star >= 0) {
      token = star + 1
      at = ++starredTo
    } else {
      return false
    }
  }
  while (tokens[token] === ANY) token++
  return token === tokens.length
}
