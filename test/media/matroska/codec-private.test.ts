import { describe, expect, test } from 'vitest'
import { withCodecPrivate } from '../../../src/media/matroska/codec-private.ts'
import { ElementId } from '../../../src/media/matroska/element-id.ts'
import { parseWholeHeader } from '../../../src/media/matroska/header.ts'
import { readElementHead } from '../../../src/media/matroska/vint.ts'
import { concat, element, toMatroskaHeader } from '../../../src/media/matroska/writer.ts'
import type { Track } from '../../../src/domain/track.ts'
import { VIDEO_TRACK } from '../../support/archive-media.ts'

const NONE = new Uint8Array(0)
const RECORD = Uint8Array.from({ length: 40 }, (_, i) => i + 1)
const SOUND: Track = {
  ...{ number: 2, kind: 'audio', codecId: 'A_AAC', codecPrivate: Uint8Array.of(0x12, 0x10) },
  ...{ timescale: 1000, video: null, audio: { sampleRateHz: 44_100, channels: 2 } },
}

describe('another CodecPrivate', () => {
  test.each([
    { rule: 'where there was none', before: NONE },
    { rule: 'where there was another', before: Uint8Array.of(9, 9, 9) },
  ])('$rule: the track has it, all else is as it was', ({ before }) => {
    const header = toMatroskaHeader([{ ...VIDEO_TRACK, codecPrivate: before }, SOUND], {
      title: 'yard',
    })

    const changed = withCodecPrivate(header, 1, RECORD)

    const { tracks, headerLength } = parseWholeHeader(changed)
    expect(tracks).toEqual([{ ...VIDEO_TRACK, codecPrivate: RECORD }, SOUND])
    expect(headerLength).toBe(changed.length)
    expect(Buffer.from(withCodecPrivate(changed, 1, RECORD))).toEqual(Buffer.from(changed))
    const same = Buffer.from(header).indexOf(Buffer.from('1654ae6b', 'hex'))
    expect(Buffer.from(changed.subarray(0, same))).toEqual(Buffer.from(header.subarray(0, same)))
  })

  test('a SeekHead that would point elsewhere becomes Void, and a checksum goes', () => {
    const plain = toMatroskaHeader([{ ...VIDEO_TRACK, codecPrivate: NONE }])
    const payload = Buffer.from(plain).indexOf(Buffer.from('1549a966', 'hex'))
    const seekHead = element(ElementId.SeekHead, [element(ElementId.Seek, [new Uint8Array(12)])])
    const checksum = element(ElementId.Crc32, [new Uint8Array(4)])
    const header = concat([plain.subarray(0, payload), checksum, seekHead, plain.subarray(payload)])

    const changed = withCodecPrivate(header, 1, RECORD)

    const first = readElementHead(changed, payload)!
    expect(first.id).toBe(ElementId.Void)
    expect(first.dataOffset + first.size - first.offset).toBe(seekHead.length)
    expect(parseWholeHeader(changed).tracks[0]!.codecPrivate).toEqual(RECORD)
  })
})
