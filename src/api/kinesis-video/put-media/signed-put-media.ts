import type { HttpRequest } from '../../http-server.ts'

/**
 * What a producer signed. Official ones sign hop-by-hop headers too, as they are in HTTP/1.1; when their
 * HTTP library then chose HTTP/2 by ALPN, it sent the request without these (RFC 9113 §8.2.2). Their
 * values are always the same, so the signature can be verified with them.
 */
export function toSignedPutMedia(request: HttpRequest) {
  const headers =
    request.httpVersionMajor === 1
      ? request.headers
      : { host: String(request.headers[':authority']), ...HOP_BY_HOP, ...request.headers }
  return { method: request.method!, target: request.url!, headers }
}

/** As the C producer sends them (and whoever is built on it). */
const HOP_BY_HOP = { connection: 'keep-alive', 'transfer-encoding': 'chunked' }
