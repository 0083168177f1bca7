import { secretsOf } from '../../domain/source-url.ts'
import type { SourceSettings } from '../../registry/index.ts'
import { PullError } from '../pull/pull.ts'

/**
 * Turns whatever a pull threw into a failure that may be shown. A last net under the pulls, which quote
 * peers: a message that holds one of the source's secrets is left out whole, since masking it would
 * tell which part of the message was the secret.
 */
export function toShownFailure(error: unknown, settings: SourceSettings | null): PullError {
  const failure = error instanceof PullError ? error : toUnexpected(error)
  const secrets = settings === null ? [] : toSecrets(settings)
  if (!secrets.some((secret) => failure.message.includes(secret))) return failure
  return new PullError(failure.reason, 'The reason cannot be shown, because it quotes a secret.')
}

function toUnexpected(error: unknown): PullError {
  const text = error instanceof Error ? error.message : String(error)
  return new PullError('failed', text, error)
}

function toSecrets({ url, credentials }: SourceSettings): readonly string[] {
  const { username = '', password = '' } = credentials ?? {}
  const basic = Buffer.from(`${username}:${password}`).toString('base64') // RFC 7617 §2
  const written = password === '' ? [] : [password, encodeURIComponent(password), basic]
  return [...written, ...secretsOf(url)].filter((secret) => secret !== '')
}
