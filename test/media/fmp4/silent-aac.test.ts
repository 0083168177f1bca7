import { AVMEDIA_TYPE_AUDIO } from 'node-av/constants'
import { Codec, CodecContext, Frame, Packet, Rational } from 'node-av/lib'
import { describe, expect, test } from 'vitest'
import { CODEC_AAC, type Track } from '../../../src/domain/track.ts'
import { toSilentFrame } from '../../../src/media/fmp4/silent-aac.ts'

const track = (config: string): Track => ({
  number: 2,
  kind: 'audio',
  codecId: CODEC_AAC,
  codecPrivate: Uint8Array.from(Buffer.from(config, 'hex')),
  timescale: 1000,
  video: null,
  audio: { sampleRateHz: 48_000, channels: 2 },
})

describe('toSilentFrame', () => {
  test.each([
    { name: 'mono 48 kHz', config: '1188', channels: 1 },
    { name: 'stereo 48 kHz', config: '1190', channels: 2 },
    { name: 'stereo 44.1 kHz', config: '1210', channels: 2 },
  ])('decodes in FFmpeg to 1024 samples of nothing: $name', async ({ config, channels }) => {
    const frame = await decode(track(config), 3)

    expect(frame).toMatchObject({ samples: 1024, channels })
    expect(frame.loudest).toBe(0)
  })

  test.each([
    { rule: 'knows none for 5.1', config: '11b0' },
    { rule: 'knows none for AAC Main', config: '0990' },
    { rule: 'knows none where the channels are described inside', config: '1180' },
  ])('$rule', ({ config }) => {
    expect(toSilentFrame(track(config))).toBeNull()
  })
})

/** Decodes the silent frame so many times and describes the last one. */
async function decode(silent: Track, times: number) {
  const codec = Codec.findDecoderByName('aac' as never)!
  const context = new CodecContext()
  context.allocContext3(codec)
  context.codecType = AVMEDIA_TYPE_AUDIO
  context.pktTimebase = new Rational(1, 48_000)
  context.extraData = Buffer.from(silent.codecPrivate)
  expect(await context.open2(codec)).toBe(0)
  const packet = new Packet()
  packet.alloc()
  const frame = new Frame()
  frame.alloc()
  let loudest = 0
  for (let i = 0; i < times; i++) {
    packet.data = Buffer.from(toSilentFrame(silent)!)
    expect(await context.sendPacket(packet)).toBe(0)
    expect(await context.receiveFrame(frame)).toBe(0)
    for (const plane of frame.data!.slice(0, frame.channels)) {
      const samples = new Float32Array(plane.buffer, plane.byteOffset, frame.nbSamples)
      loudest = samples.reduce((max, value) => Math.max(max, Math.abs(value)), loudest)
    }
  }
  const described = { samples: frame.nbSamples, channels: frame.channels, loudest }
  packet.free()
  frame.free()
  context.freeContext()
  return described
}
