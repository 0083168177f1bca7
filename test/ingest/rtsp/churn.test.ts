import { expect, test } from 'vitest'
import { CHURN_CYCLES, CHURN_TIMEOUT_MS, expectNothingLeft } from '../../support/churn.ts'
import { RtspTestClient } from '../../support/rtsp-client.ts'
import { KEY, startFixture } from './rtsp-fixture.ts'

test(
  `${CHURN_CYCLES} publishers come and go, in order or cut off, and leave nothing`,
  { timeout: CHURN_TIMEOUT_MS },
  async () => {
    const { port, directory, sessions, event, observed, archive, streamId, stored } =
      await startFixture()
    const url = `rtsp://127.0.0.1:${port}/live/x?key=${KEY}`

    await expectNothingLeft(
      async (index) => {
        observed.recorder.items.length = 0
        const client = await RtspTestClient.publishing(port, url)
        if (index % 2 === 0) client.sendKeyFrames(1)
        if (index % 3 === 0) await client.expectOk('TEARDOWN', url)
        else if (index % 3 === 1) client.send(Uint8Array.of(0x24, 0, 255, 255, 1, 2)) // half a frame
        client.socket.destroy()
        await event('sessionEnded')
      },
      {
        directory,
        removeMedia: async () => {
          expect((await stored()).length).toBeGreaterThan(10)
          await archive.remove(streamId)
          observed.recorder.items.length = 0
        },
      },
    )

    expect(sessions.list()).toEqual([])
  },
)
