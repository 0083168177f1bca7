import { randomBytes } from 'node:crypto'
import { getEventListeners, once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Pull, PullFailure, PullTarget } from '../../src/ingest/pull/pull.ts'
import { openIngestFixture } from '../ingest/ingest-fixture.ts'
import { freePort } from '../support/service.ts'

/**
 * What every Pull owes its caller, whatever the peer does: it resolves only when told to leave, else
 * rejects with a reason, in bounded time, and leaves neither connection nor session behind.
 */
export function describePull(scheme: string, pull: Pull): void {
  /** A peer that does `meet` with every connection. */
  async function openPeer(meet: (socket: Socket) => void) {
    const sockets = new Set<Socket>()
    const server: Server = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
      meet(socket)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    /** Whoever does not read does not learn of the end. */
    const allGone = async () => {
      for (const socket of sockets) {
        await new Promise((resolve) => socket.resume().once('close', resolve))
      }
    }
    return { server, port: (server.address() as AddressInfo).port, allGone }
  }

  async function start(port: number, change: Partial<PullTarget> = {}) {
    const ingest = await openIngestFixture()
    const leaving = new AbortController()
    const target: PullTarget = {
      stream: 'x',
      url: new URL(`${scheme}://127.0.0.1:${port}/live/x`),
      credentials: { username: 'admin', password: 'made-up-pa55' },
      transport: 'auto',
      verifyCertificate: true,
      connectTimeoutMs: 150,
      stallTimeoutMs: 1_000,
      ...change,
    }
    const deps = { ...ingest.deps, onPublishing: () => undefined }
    const outcome = (signal = leaving.signal) =>
      pull(target, deps, signal).then(
        () => 'left' as const,
        (error: unknown) => error as { readonly reason?: PullFailure; readonly message: string },
      )
    return { ...ingest, leaving, outcome }
  }

  describe(`${scheme}, the contract of a pull`, () => {
    test('a peer that is not there is unreachable', async () => {
      const { outcome } = await start(await freePort())

      expect(await outcome()).toMatchObject({ name: 'PullError', reason: 'unreachable' })
    })

    test('a name that nobody has is unreachable', async () => {
      const url = new URL(`${scheme}://no-such-camera.invalid/live/x`)
      const { outcome } = await start(0, { url })

      expect(await outcome()).toMatchObject({ name: 'PullError', reason: 'unreachable' })
    })

    test.each<{ what: string; meet: (socket: Socket) => void; reasons: readonly PullFailure[] }>([
      { what: 'says nothing', meet: (socket) => socket.resume(), reasons: ['no-answer'] },
      { what: 'does not even read', meet: () => undefined, reasons: ['no-answer'] },
      { what: 'hangs up at once', meet: (socket) => socket.destroy(), reasons: ['peer-closed'] },
      {
        what: 'resets',
        meet: (socket) => socket.resetAndDestroy(),
        reasons: ['peer-closed', 'unreachable'], // it may be faster than the connection
      },
      {
        what: 'sends noise',
        meet: (socket) => socket.end(randomBytes(100_000)),
        reasons: ['protocol-error', 'peer-closed', 'no-answer'],
      },
      {
        what: 'speaks something else',
        meet: (socket) => socket.end('220 mail.example.org ESMTP\r\n'.repeat(50)),
        reasons: ['protocol-error', 'peer-closed', 'no-answer'],
      },
    ])('a peer that $what is told by a reason', async ({ meet, reasons }) => {
      const peer = await openPeer(meet)
      const { outcome, sessions } = await start(peer.port)

      const failure = await outcome()
      await peer.allGone()

      expect(failure).toMatchObject({ name: 'PullError' })
      expect(reasons).toContain((failure as { reason: PullFailure }).reason)
      expect(JSON.stringify(failure)).not.toContain('made-up-pa55')
      expect(sessions.list()).toEqual([])
    })

    test('leaves a peer that hangs when it is told to, at once', async () => {
      const peer = await openPeer((socket) => socket.resume())
      const { outcome, leaving } = await start(peer.port, { connectTimeoutMs: 30_000 })
      const ending = outcome()
      await once(peer.server, 'connection')

      leaving.abort('shutdown')

      expect(await ending).toBe('left')
      await peer.allGone()
    })

    test('does not call anybody when it is told to leave before', async () => {
      let calls = 0
      const peer = await openPeer(() => calls++)
      const { outcome } = await start(peer.port)

      expect(await outcome(AbortSignal.abort('source-changed'))).toBe('left')
      expect(calls).toBe(0)
    })

    test('leaves nothing behind, however often it is tried with the same signal', async () => {
      const peer = await openPeer((socket) => socket.resume())
      const { outcome, leaving, sessions } = await start(peer.port, { connectTimeoutMs: 20 })
      const reasons = new Set<string>()

      for (let nth = 0; nth < 20; nth++) {
        reasons.add(((await outcome()) as { reason: string }).reason)
      }
      await peer.allGone()

      expect([...reasons]).toEqual(['no-answer'])
      expect(getEventListeners(leaving.signal, 'abort')).toEqual([])
      expect(sessions.list()).toEqual([])
    })
  })
}
