import { describe, expect, test } from 'vitest'
import { trySource } from '../../../src/ingest/index.ts'
import { parseNewSource } from '../../../src/registry/index.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { createObserved } from '../../support/observed.ts'
import { FakeCameras } from './fake-cameras.ts'

const PASSWORD = 'made-up-pa55'

function tryOne() {
  const clock = new ManualClock()
  const cameras = new FakeCameras()
  const ending = new AbortController()
  const settings = parseNewSource({ url: `rtsp://admin:${PASSWORD}@cam.test/live` })
  const findings = trySource({ clock, ...createObserved(), pullOf: () => cameras.pull }, settings, {
    watchMs: 5_000,
    signal: ending.signal,
  })
  findings.catch(() => undefined) // awaited by each test
  return { clock, cameras, ending, findings }
}

describe('a trial of a source', () => {
  test('tells what came, after having watched for its time, and leaves', async () => {
    const { clock, cameras, findings } = tryOne()
    const call = await cameras.call('test')
    clock.advance(300)
    await call.publish()
    for (let second = 0; second < 3; second++) {
      clock.advance(1_000)
      call.sendFrame()
    }
    clock.advance(2_000)

    expect(await findings).toMatchObject({
      answeredAfterMs: 300,
      session: { protocol: 'rtsp-pull', peer: '127.0.0.1:554', tracks: [{ codec: 'D_TEST' }] },
    })
    expect(call.leftFor).toBe('unpublished')
    expect(call.target).toMatchObject({ credentials: { username: 'admin', password: PASSWORD } })
  })

  test('tells why nothing came, without secrets', async () => {
    const { cameras, findings } = tryOne()

    await (await cameras.call('test')).fail('unauthorised', `401 for admin:${PASSWORD}`)

    await expect(findings).rejects.toMatchObject({
      reason: 'unauthorised',
      message: expect.not.stringContaining(PASSWORD) as string,
    })
  })

  test.each([{ when: 'before' }, { when: 'after' }])(
    'ends $when media when told',
    async ({ when }) => {
      const { cameras, ending, findings } = tryOne()
      const call = await cameras.call('test')
      if (when === 'after') await call.publish()

      ending.abort(new Error('enough'))

      await expect(findings).rejects.toThrow('enough')
      expect(call.leftFor).toBe('unpublished')
    },
  )
})
