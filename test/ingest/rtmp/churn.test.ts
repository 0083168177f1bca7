import { expect, test } from 'vitest'
import { CHURN_CYCLES, CHURN_TIMEOUT_MS, expectNothingLeft } from '../../support/churn.ts'
import { avcFrame, avcHeader, RtmpClient } from '../../support/rtmp-client.ts'
import { KEY, startFixture } from './rtmp-fixture.ts'

const VIDEO = 9
const NAME = `x?key=${KEY}`

test(
  `${CHURN_CYCLES} publishers come and go, in order, cut off or refused, and leave nothing`,
  { timeout: CHURN_TIMEOUT_MS },
  async () => {
    const { port, directory, sessions, event, observed, archive, streamId, stored } =
      await startFixture()
    const first = await RtmpClient.publishing(port, NAME)
    first.media(VIDEO, 0, avcHeader())
    first.media(VIDEO, 0, avcFrame({ isKey: true }))
    await first.end()
    await event('sessionEnded')

    await expectNothingLeft(
      async (index) => {
        observed.recorder.items.length = 0
        const client = await RtmpClient.publishing(port, NAME)
        client.media(VIDEO, 0, avcHeader())
        client.media(VIDEO, 0, avcFrame({ isKey: index % 2 === 0 })) // else it is dropped
        client.media(VIDEO, 40, avcFrame({ isKey: false }))
        if (index % 3 === 0) {
          client.call('FCUnpublish', 5, null, 'x')
          client.call('deleteStream', 6, null, 1)
          await client.status('NetStream.Unpublish.Success')
        } else if (index % 3 === 1) {
          // Of a half message.
          client.socket.write(Uint8Array.of(4, 0, 0, 0, 0, 255, 255, 9, 1, 0, 0, 0, 1, 2, 3))
        }
        client.socket.destroy()
        await client.closed
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
    const last = await RtmpClient.publishing(port, NAME)
    await last.end()
  },
)
