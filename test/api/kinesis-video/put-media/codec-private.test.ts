import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { CODEC_AVC, CODEC_HEVC, type Track } from '../../../../src/domain/track.ts'
import {
  clusterStart,
  concat,
  simpleBlockHead,
  toMatroskaHeader,
} from '../../../../src/media/matroska/writer.ts'
import { parseAvcConfig } from '../../../../src/media/nal/avc-config.ts'
import { parseHevcConfig } from '../../../../src/media/nal/hevc-config.ts'
import {
  annexBToLengthPrefixed,
  isLengthPrefixed,
  lengthPrefixedNalUnits,
} from '../../../../src/media/nal/nal-units.ts'
import { demux, type DemuxedPacket } from '../../../playback/support/demux.ts'
import { scratchDirectory } from '../../../support/scratch.ts'
import { sharedMedia } from '../../../support/shared-media.ts'
import { mediaClient, startReading } from '../get-media/media-reading.ts'
import { Producer, runKinesisVideoApi } from '../running-video-api.ts'

const avcClip = sharedMedia('kvs_vogels_480.mkv')
const hevcClip = sharedMedia('kvs-producer-c_frames.h265')
const START_CODE = Uint8Array.of(0, 0, 0, 1)
const AT = Date.now() - 3_600_000

type Clip = {
  readonly track: Track
  /** Parameter sets and frames, with lengths. */
  readonly frames: readonly { readonly isKey: boolean; readonly data: Uint8Array }[]
  /** Parameter sets with start codes. */
  readonly sets: Uint8Array
}

describe.skipIf(avcClip === null || hevcClip === null)('a header without CodecPrivate', () => {
  let avc: Clip
  let hevc: Clip
  beforeAll(async () => {
    avc = await readAvc(avcClip!)
    hevc = await readHevc(hevcClip!)
  })

  test.each([
    { rule: 'H.264, lengths', clip: () => avc, codecPrivate: 'none', startCodes: false },
    { rule: 'H.264, start codes', clip: () => avc, codecPrivate: 'none', startCodes: true },
    { rule: 'H.264, a CodecPrivate with start codes', clip: () => avc, codecPrivate: 'annex-b' },
    { rule: 'H.264, one that is nothing', clip: () => avc, codecPrivate: 'junk' },
    { rule: 'H.264, start codes but a good one', clip: () => avc, startCodes: true },
    { rule: 'H.265, lengths', clip: () => hevc, codecPrivate: 'none', startCodes: false },
    { rule: 'H.265, start codes', clip: () => hevc, codecPrivate: 'none', startCodes: true },
    { rule: 'H.265, a CodecPrivate with start codes', clip: () => hevc, codecPrivate: 'annex-b' },
  ])('$rule: players get one, and every frame', async (row) => {
    const { track, frames, sets } = row.clip()
    const codecPrivates: Record<string, Uint8Array> = {
      none: new Uint8Array(0),
      'annex-b': sets,
      junk: Uint8Array.of(1, 2, 3),
    }
    const codecPrivate = codecPrivates[row.codecPrivate ?? ''] ?? track.codecPrivate
    const { port, stored } = await runKinesisVideoApi()
    const producer = await Producer.open(port)
    producer.end(
      concat([
        toMatroskaHeader([{ ...track, codecPrivate }]),
        ...toClusters(frames, row.startCodes === true),
      ]),
    )
    await producer.closed
    const fragments = await stored()
    const reading = await startReading(mediaClient(port), { StartSelectorType: 'EARLIEST' })
    await reading.reaching(fragments.length)
    const path = join(await scratchDirectory(), 'got.mkv')
    await writeFile(path, reading.bytes)
    const seen = await demux(path)

    const samples = fragments.flatMap((each) => each.samples)
    expect(samples.every(({ data }) => isLengthPrefixed(data, 4))).toBe(true)
    expect(samples).toHaveLength(frames.length)
    expect(samples.every(({ data }, i) => data.equals(frames[i]!.data))).toBe(true)
    expect(pictureOf(fragments[0]!.tracks[0]!)).toMatchObject({
      widthPx: track.video!.widthPx,
      heightPx: track.video!.heightPx,
    })
    expect(new Set(fragments.map(({ fragment }) => fragment.place.chunkId)).size).toBe(1)
    expect(seen.tracks[0]).toMatchObject({ video: track.video })
    expect(seen.packets.map(({ data }) => data.length)).toEqual(
      frames.map(({ data }) => data.length),
    )
  })

  test('a track whose key frames bring none is kept as it came, and told of at once', async () => {
    const { port, stored } = await runKinesisVideoApi()
    const producer = await Producer.open(port)
    const withoutSets = avc.frames.map(({ isKey, data }) => ({
      isKey,
      data: withoutParameterSets(data),
    }))
    producer.send(concat([header(avc.track), toClusters(withoutSets, false)[0]!]))

    await producer.acks.first(({ EventType }) => EventType === 'BUFFERING')
    producer.end()
    await producer.closed

    expect((await stored())[0]!.tracks[0]!.codecPrivate).toHaveLength(0)
  })

  const header = (track: Track) => toMatroskaHeader([{ ...track, codecPrivate: new Uint8Array(0) }])
})

function pictureOf({ codecId, codecPrivate }: Track) {
  return codecId === CODEC_AVC
    ? parseAvcConfig(codecPrivate).picture
    : parseHevcConfig(codecPrivate).picture
}

function toClusters(frames: Clip['frames'], startCodes: boolean): readonly Uint8Array[] {
  const clusters: Uint8Array[][] = []
  let start = 0
  frames.forEach(({ isKey, data }, i) => {
    const at = AT + i * 40
    if (isKey) {
      start = at
      clusters.push([clusterStart(at)])
    }
    const payload = startCodes ? toAnnexB(data) : data
    const block = { trackNumber: 1, relativeMs: at - start, isKey, payloadLength: payload.length }
    clusters.at(-1)!.push(simpleBlockHead(block), payload)
  })
  return clusters.map(concat)
}

function toAnnexB(frame: Uint8Array): Uint8Array {
  const units = [...lengthPrefixedNalUnits(frame, 4)]
  return concat(units.flatMap(({ start, end }) => [START_CODE, frame.subarray(start, end)]))
}

function withoutParameterSets(frame: Uint8Array): Uint8Array {
  const kept = [...lengthPrefixedNalUnits(frame, 4)].filter(
    ({ start }) => ![7, 8].includes(frame[start]! & 0x1f),
  )
  return concat(kept.map(({ start, end }) => frame.subarray(start - 4, end)))
}

/** The first of its packets, whose key frames get the parameter sets of the header. */
async function readAvc(path: string): Promise<Clip> {
  const { tracks, packets } = await demux(path)
  const track = { ...tracks.find(({ codecId }) => codecId === CODEC_AVC)!, number: 1 }
  const { sps, pps } = splitAvcRecord(track.codecPrivate)
  const sets = concat([sps, pps].flatMap((unit) => [START_CODE, unit]))
  const prefixed = annexBToLengthPrefixed(sets)
  const frames = firstOf(packets, 1).map(({ isKey, data }) => ({
    isKey,
    data: isKey ? concat([prefixed, data]) : data,
  }))
  return { track, frames, sets }
}

async function readHevc(path: string): Promise<Clip> {
  const { tracks, packets } = await demux(path)
  const track = { ...tracks.find(({ codecId }) => codecId === CODEC_HEVC)!, number: 1 }
  const sets = track.codecPrivate // of a raw stream they have start codes
  const frames = firstOf(packets, track.number).map(({ isKey, data }) => ({
    isKey,
    data: annexBToLengthPrefixed(data),
  }))
  return { track, frames, sets }
}

function firstOf(packets: readonly DemuxedPacket[], trackNumber: number) {
  return packets.filter((packet) => packet.trackNumber === trackNumber).slice(0, 80)
}

function splitAvcRecord(record: Uint8Array) {
  const spsLength = (record[6]! << 8) | record[7]!
  const sps = record.subarray(8, 8 + spsLength)
  const at = 8 + spsLength + 1
  const ppsLength = (record[at]! << 8) | record[at + 1]!
  return { sps, pps: record.subarray(at + 2, at + 2 + ppsLength) }
}
