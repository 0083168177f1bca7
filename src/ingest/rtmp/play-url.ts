/** What an RTMP URL says to `connect` and to `play`. */
export type PlayAddress = {
  readonly app: string
  readonly tcUrl: string
  /** The stream's name, with its query. */
  readonly stream: string
}

/**
 * The last part of the path is the stream, all before it the application. Cameras take user name and
 * password in the stream's query: they are put there unless it has them.
 */
export function parsePlayUrl(
  url: URL,
  credentials: { readonly username: string; readonly password: string } | null,
): PlayAddress {
  const parts = url.pathname.split('/').filter((part) => part !== '')
  const name = parts.length > 1 ? parts.at(-1)! : ''
  const app = parts.length > 1 ? parts.slice(0, -1).join('/') : (parts[0] ?? '')
  const query = new URLSearchParams(url.search)
  let search = url.search
  if (credentials !== null && !query.has('user') && !query.has('username')) {
    const login = new URLSearchParams({
      user: credentials.username,
      password: credentials.password,
    })
    search += `${search === '' ? '?' : '&'}${login}`
  }
  return { app, tcUrl: `${url.protocol}//${url.host}/${app}`, stream: name + search }
}
