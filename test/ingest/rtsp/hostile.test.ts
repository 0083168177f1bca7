import { expect, test } from 'vitest'
import { encodeFrame, encodeRequest } from '../../../src/ingest/rtsp/message.ts'
import { H264_SDP, keyFrame, RtspTestClient, toIndexes } from '../../support/rtsp-client.ts'
import { hex, mutations } from '../../support/fuzz.ts'
import { KEY, startFixture } from './rtsp-fixture.ts'

const SESSIONS = Number(process.env.TEST_FUZZ_CASES ?? 4_000) / 20

/** All that a publisher says, without waiting for answers; ids are not asked for. */
function conversation(stream: string): Uint8Array {
  const url = `rtsp://127.0.0.1/live/${stream}?key=${KEY}`
  const say = (method: string, uri: string, ...headers: (readonly [string, string])[]) =>
    encodeRequest({ method, uri, headers: [['CSeq', '1'], ...headers] })
  return Uint8Array.from(
    Buffer.concat([
      say('OPTIONS', url),
      say(
        'ANNOUNCE',
        url,
        ['Content-Type', 'application/sdp'],
        ['Content-Length', String(H264_SDP.length)],
      ),
      Buffer.from(H264_SDP),
      say('SETUP', `${url}/trackID=0`, ['Transport', 'RTP/AVP/TCP;unicast;interleaved=0-1']),
      say('RECORD', url),
      ...[0, 1, 2].flatMap((i) => keyFrame(i, i * 90_000).map((packet) => encodeFrame(0, packet))),
      encodeFrame(1, hex('80c80006 12345678 e5000000 00000000 00000000 00000003 00000100')),
      say('GET_PARAMETER', url),
      ...[3, 4].flatMap((i) => keyFrame(i, i * 90_000).map((packet) => encodeFrame(0, packet))),
      say('TEARDOWN', url),
    ]),
  )
}

test('whole conversations, changed anyhow, end their own session and nothing else', async () => {
  const fixture = await startFixture({}, ({ clock }) => ({
    // Failed logins are not waited for.
    clock: { ...clock, sleep: (ms, signal) => clock.sleep(ms === 500 ? 0 : ms, signal) },
  }))
  // Of their own, since one that has just ended keeps its stream until its media is on the disk.
  const streams = Array.from({ length: 30 }, (_, i) => `y${i}`)
  for (const name of streams) {
    await fixture.registry.create({ name, retentionHours: 24, publishKey: KEY })
  }
  const url = `rtsp://127.0.0.1:${fixture.port}/live/x?key=${KEY}`
  const good = await RtspTestClient.publishing(fixture.port, url)
  let sent = 0
  for (const bytes of mutations(streams.map(conversation), SESSIONS)) {
    if (sent % 50 === 0) good.sendKeyFrames(1, { from: sent / 50 })
    const bad = await RtspTestClient.connect(fixture.port, `127.0.1.${1 + (sent % 100)}`)
    bad.send(bytes)
    bad.socket.end()
    await bad.closed
    sent++
  }
  await good.expectOk('TEARDOWN', url)

  const stored = toIndexes((await fixture.stored()).flatMap(({ samples }) => samples))
  expect(stored).toEqual(Array.from({ length: Math.ceil(SESSIONS / 50) }, (_, i) => i & 0x7f))
  // Some must have got as far as publishing, or nothing was tested.
  expect(fixture.events('sessionStarted').length).toBeGreaterThan(SESSIONS / 10)
  await fixture.server.close()
  expect(fixture.events('sessionEnded').length).toBe(fixture.events('sessionStarted').length)
  expect(
    fixture.events('sessionEnded').filter(({ fields }) => fields.reason === 'internal'),
  ).toEqual([])
}, 120_000)

test('publishers that come and go leave nothing behind', async () => {
  const rounds = Number(process.env.TEST_CHURN_ROUNDS ?? 60)
  const fixture = await startFixture()
  const url = `rtsp://127.0.0.1:${fixture.port}/live/x?key=${KEY}`
  const handles = () => process.getActiveResourcesInfo().length
  const before = handles()
  for (let round = 0; round < rounds; round++) {
    const client = await RtspTestClient.publishing(fixture.port, url)
    client.sendKeyFrames(1)
    if (round % 3 === 0) client.socket.destroy()
    else if (round % 3 === 1) await client.end()
    else await client.expectOk('TEARDOWN', url).then(() => client.end())
  }
  await fixture.server.close()

  expect(fixture.events('sessionEnded')).toHaveLength(rounds)
  expect(fixture.sessions.list()).toEqual([])
  expect(handles()).toBeLessThanOrEqual(before + 2)
}, 600_000)
