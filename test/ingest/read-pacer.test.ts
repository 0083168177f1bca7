import { once } from 'node:events'
import { Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { ReadPacer, tickMsFor } from '../../src/ingest/read-pacer.ts'

const sockets: Socket[] = []
const flowing = async () => {
  const socket = new Socket()
  sockets.push(socket)
  await once(socket.resume(), 'resume')
  return socket
}
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy()
})

test('after a small read a socket waits for the next tick, together with the others', async () => {
  const pacer = new ReadPacer()
  const [first, second] = [await flowing(), await flowing()]
  pacer.pace({ socket: first, mayRead: () => true }, 8)
  pacer.pace({ socket: second, mayRead: () => true }, 8)
  expect([first.isPaused(), second.isPaused()]).toEqual([true, true])
  await Promise.all([once(first, 'resume'), once(second, 'resume')])
  expect([first.isPaused(), second.isPaused()]).toEqual([false, false])
})

test('a peer that sends much at once does not wait', async () => {
  const socket = await flowing()
  new ReadPacer().pace({ socket, mayRead: () => true }, 64 * 1024)
  expect(socket.isPaused()).toBe(false)
})

test('what else holds a socket back keeps it past the tick', async () => {
  const pacer = new ReadPacer()
  const [held, other] = [await flowing(), await flowing()]
  pacer.pace({ socket: held, mayRead: () => false }, 8)
  pacer.pace({ socket: other, mayRead: () => true }, 8)
  await once(other, 'resume')
  expect(held.isPaused()).toBe(true)
})

test.each([
  { rule: 'of one stream is short, for what is watched live', sockets: 1, tickMs: 40 },
  { rule: 'stays short for some', sockets: 16, tickMs: 40 },
  { rule: 'grows with their number', sockets: 30, tickMs: 75 },
  { rule: 'has a limit', sockets: 1000, tickMs: 100 },
])('a tick $rule', ({ sockets, tickMs }) => {
  expect(tickMsFor(sockets)).toBe(tickMs)
})
