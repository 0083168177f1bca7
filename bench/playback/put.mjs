// Stores a film by PutMedia; resolves when all of its fragments are persisted.
import { request } from 'node:http'
import { once } from 'node:events'
import { putMediaHeaders } from './servers.mjs'

export async function putFilm(port, stream, header, clusters) {
  const call = request({
    ...{ port, host: '127.0.0.1', path: '/putMedia', method: 'POST' },
    headers: putMediaHeaders(stream),
  })
  let persisted = 0
  const answered = once(call, 'response').then(async ([response]) => {
    response.setEncoding('utf8')
    let text = ''
    for await (const part of response) text += part
    persisted = text.split('"PERSISTED"').length - 1
    if (response.statusCode !== 200 || text.includes('"ERROR"')) throw new Error(text.slice(-500))
  })
  call.write(header)
  let sent = 0
  for (const cluster of clusters) {
    sent++
    if (!call.write(cluster)) await once(call, 'drain')
  }
  call.end()
  await answered
  if (persisted !== sent) throw new Error(`${persisted} of ${sent} fragments were persisted`)
}
