import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import type { HttpRequest, HttpResponse } from './http-server.ts'

/** Fastify as a router of requests that another server received: it never listens itself. */
export type FastifyRouter = Omit<FastifyInstance, 'listen'> & {
  /** Takes requests of HTTP/1.1 and of HTTP/2. Call it after `ready()`. */
  readonly routing: (request: HttpRequest, response: HttpResponse) => void
}

/** It quotes the URL. */
const MAX_MESSAGE_LENGTH = 200

/**
 * A Fastify for the one HTTP port of http-server.ts. Requests are logged and counted by the edges'
 * own events, not by Fastify; bodies have no deadline, since media uploads never end.
 */
export function createFastify(): FastifyInstance & FastifyRouter {
  const fastify = Fastify({
    logger: false,
    requestTimeout: 0,
    // What the router refuses before a route is known, in the shape of all other refusals.
    frameworkErrors: (error, _request, reply) =>
      void (reply as FastifyReply)
        .status(error.statusCode ?? 400)
        .send({ code: 'InvalidRequest', message: error.message.slice(0, MAX_MESSAGE_LENGTH) }),
    ajv: { customOptions: { removeAdditional: false } }, // unknown members are errors, not ignored
    routerOptions: { maxParamLength: 256 }, // a stream name (KVS API: CreateStream)
  })
  return fastify as unknown as FastifyInstance & FastifyRouter
}
