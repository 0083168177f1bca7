import { createHash, randomBytes } from 'node:crypto'

/**
 * User name and password as Adobe's media server asks for them ("authmod=adobe"), which no standard
 * describes. The server rejects `connect` and says why in a description; the client connects anew with
 * an answer in the application's query:
 *
 * 1. `... code=403 need auth; authmod=adobe ...`: say who you are.
 * 2. `... ?reason=needauth&user=U&salt=S&challenge=C&opaque=O`: prove it.
 */
export class AdobeAuthentication {
  readonly #credentials: { readonly username: string; readonly password: string }
  #rounds = 0

  constructor(credentials: { readonly username: string; readonly password: string }) {
    this.#credentials = credentials
  }

  /**
   * @param description of the rejection
   * @returns the query for the next `connect`; `null` when the server asks nothing, or once more
   */
  answer(description: string): string | null {
    if (!isAdobeChallenge(description) || ++this.#rounds > 2) return null
    const { username, password } = this.#credentials
    const user = `?authmod=adobe&user=${encodeURIComponent(username)}`
    const asked = parseChallenge(description)
    if (asked === null) return user
    const salted = md5Base64(username + asked.salt + password)
    const challenge = randomBytes(4).toString('hex')
    const response = md5Base64(salted + (asked.opaque ?? asked.challenge) + challenge)
    const opaque = asked.opaque === null ? '' : `&opaque=${asked.opaque}`
    return `${user}&challenge=${challenge}&response=${response}${opaque}`
  }
}

export function isAdobeChallenge(description: string): boolean {
  return description.includes('authmod=adobe')
}

function parseChallenge(
  description: string,
): { salt: string; challenge: string; opaque: string | null } | null {
  const query = /\?(reason=needauth&\S+)/.exec(description)?.[1]
  if (query === undefined) return null
  // Not URLSearchParams: salt and opaque are base64, whose + would become a space.
  const fields = new Map(
    query.split('&').map((field) => {
      const equals = field.indexOf('=')
      return [field.slice(0, equals), field.slice(equals + 1)] as const
    }),
  )
  const [salt, challenge] = [fields.get('salt'), fields.get('challenge')]
  if (salt === undefined) return null
  return { salt, challenge: challenge ?? '', opaque: fields.get('opaque') ?? null }
}

function md5Base64(text: string): string {
  return createHash('md5').update(text).digest('base64')
}
