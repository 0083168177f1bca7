import { headerOf, type RtspHeaders } from './message.ts'

/**
 * What the controls of a description are relative to (RFC 2326 §C.1.1): Content-Base, else
 * Content-Location, else the URL that was asked. Of cameras' values only what names a place is taken:
 * some have no scheme, some only a path, some nothing.
 *
 * @param requestUrl without user information
 */
export function toBaseUrl(requestUrl: string, headers: RtspHeaders): string {
  for (const name of ['content-base', 'content-location']) {
    const value = headerOf(headers, name)?.replace(/^<|>$/g, '').trim() ?? ''
    if (value === '') continue
    const absolute = toAbsolute(value, requestUrl)
    if (absolute !== null) return withoutUserInformation(absolute)
  }
  return requestUrl
}

/**
 * The URL of a control: itself when it is absolute, else appended to the base, behind its query too.
 * No reference is resolved as RFC 3986 has it: cameras append, and expect it.
 *
 * @param control `null`, empty or `*`: the base itself
 */
export function resolveControl(base: string, control: string | null): string {
  if (control === null || control === '' || control === '*') return base
  if (SCHEME.test(control)) return withoutUserInformation(control)
  return `${base.replace(/\/+$/, '')}/${control.replace(/^\/+/, '')}`
}

const SCHEME = /^rtspu?s?:\/\/[^/]/i

function toAbsolute(value: string, requestUrl: string): string | null {
  if (SCHEME.test(value)) return value
  const [origin] = /^rtsps?:\/\/[^/?]*/i.exec(requestUrl) ?? ['']
  if (value.startsWith('/')) return origin + value
  // Anjvision: host, port and path without a scheme.
  if (/^[\w.-]+(:\d+)?\//.test(value)) return `${requestUrl.replace(/:\/\/.*$/s, '')}://${value}`
  return null
}

function withoutUserInformation(url: string): string {
  return url.replace(/^(rtspu?s?:\/\/)[^/?#]*@/i, '$1')
}
