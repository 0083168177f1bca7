import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join, sep } from 'node:path'
import type { FastifyInstance } from 'fastify'

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
}

/** Only our own scripts and media; hls.js feeds the player from blobs and may run in a worker. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; " +
  "img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"

/**
 * Serves the built console from memory. The page itself is public; everything that it shows comes
 * from the control API, which asks for the sign-in.
 */
export function registerConsole(fastify: FastifyInstance, directory: string): void {
  if (!existsSync(directory)) return
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const type = TYPES[extname(name)]
    if (type === undefined) continue
    const body = readFileSync(join(directory, name))
    const path = `/${name.split(sep).join('/')}`
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`
    const isHashed = path.startsWith('/assets/') // vite puts the content's hash into these names
    fastify.get(path === '/index.html' ? '/' : path, async (request, reply) => {
      void reply
        .type(type)
        .header('etag', etag)
        .header('cache-control', isHashed ? 'public, max-age=31536000, immutable' : 'no-cache')
        .header('content-security-policy', CONTENT_SECURITY_POLICY)
        .header('x-content-type-options', 'nosniff')
        .header('referrer-policy', 'same-origin')
      if (request.headers['if-none-match'] === etag) return reply.status(304).send()
      return reply.send(body)
    })
  }
}
