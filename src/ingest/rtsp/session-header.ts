/** `Session: id;timeout=60` (RFC 2326 §12.37). */
export type SessionHeader = {
  readonly id: string
  readonly timeoutSeconds: number
}

/** §12.37: "The default is 60 seconds". */
const DEFAULT_TIMEOUT_SECONDS = 60

/** @returns `null` without an id; a timeout that is none is the default */
export function parseSession(value: string | null): SessionHeader | null {
  const [id = '', ...parameters] = (value ?? '').split(';').map((part) => part.trim())
  if (id === '') return null
  const timeouts = parameters.flatMap((part) => /^timeout\s*=\s*"?(\d{1,6})/i.exec(part)?.[1] ?? [])
  const timeoutSeconds = Number(timeouts[0] ?? 0)
  return { id, timeoutSeconds: timeoutSeconds > 0 ? timeoutSeconds : DEFAULT_TIMEOUT_SECONDS }
}

/** Methods that a peer says it knows, from `Public` (§12.28). */
export function parseMethods(values: readonly string[]): ReadonlySet<string> {
  const names = values.flatMap((value) => value.split(/[\s,]+/)).filter((name) => name !== '')
  return new Set(names.map((name) => name.toUpperCase()))
}
