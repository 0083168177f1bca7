import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { hex } from '../../support/fuzz.ts'
import { inSequence, NOW, openIntake, type MadePacket } from './recording-sink.ts'

function play(sdp: string, packets: Iterable<MadePacket>, lost: readonly number[] = []) {
  const opened = openIntake(sdp)
  let at = 0
  for (const packet of inSequence(packets)) {
    if (!lost.includes(at++)) opened.intake.rtp(0, packet, NOW)
  }
  opened.intake.flush()
  return opened
}

const text = (value: string) => Uint8Array.from(Buffer.from(value))

describe('ONVIF metadata', () => {
  const SDP = 'm=application 0 RTP/AVP 96\na=rtpmap:96 vnd.onvif.metadata/90000\n'
  const MEDIA: readonly MadePacket[] = [
    { payload: text('<a>1</a>'), timestamp: 0, marker: true },
    { payload: text('<b>'), timestamp: 900 },
    { payload: text('2'), timestamp: 900 },
    { payload: text('</b>'), timestamp: 900, marker: true },
    { payload: text('<c/>'), timestamp: 1800 },
    { payload: text('<d/>'), timestamp: 2700, marker: true },
  ]
  const documents = (lost: readonly number[]) => {
    const { sink } = play(SDP, MEDIA, lost)
    return { texts: sink.samples.map(({ data }) => Buffer.from(data).toString()), sink }
  }

  test('one document is one sample, ended by the marker or by another timestamp', () => {
    const { texts, sink } = documents([])

    expect(texts).toEqual(['<a>1</a>', '<b>2</b>', '<c/>', '<d/>'])
    expect(sink.tracks).toEqual([
      {
        number: 3,
        kind: 'data',
        codecId: 'D_ONVIF/METADATA',
        codecPrivate: text('application/vnd.onvif.metadata'),
        timescale: 90_000,
        video: null,
        audio: null,
      },
    ])
  })

  test.each([
    ['the beginning of a document', [1], ['<a>1</a>', '<c/>', '<d/>'], 1],
    ['the middle of one', [2], ['<a>1</a>', '<c/>', '<d/>'], 1],
    ['the end of one', [3], ['<a>1</a>', '<c/>', '<d/>'], 1],
    ['a whole one', [0], ['<b>2</b>', '<c/>', '<d/>'], 0],
  ])('a loss of %s', (_rule, lost, expected, drops) => {
    const { texts, sink } = documents(lost)

    expect(texts).toEqual(expected)
    expect(sink.drops.get('packet-loss') ?? 0).toBe(drops)
  })
})

describe('formats that nobody here knows', () => {
  test('are stored as packets behind their lengths (RFC 4571), with what the SDP said', () => {
    const sdp = 'm=video 0 RTP/AVP 96\na=rtpmap:96 X-THING/90000\na=fmtp:96 a=1;b=2\n'
    const { sink } = play(sdp, [
      { payload: hex('aabb'), timestamp: 5 },
      { payload: hex('cc'), timestamp: 5, marker: true },
      { payload: hex('dd'), timestamp: 6 },
    ])

    expect(sink.samples.map(({ pts, data }) => [pts, Buffer.from(data).toString('hex')])).toEqual([
      [
        5,
        '000e 8060 0064 00000005 12345678 aabb 000d 80e0 0065 00000005 12345678 cc'.replaceAll(
          ' ',
          '',
        ),
      ],
      [6, '000d 8060 0066 00000006 12345678 dd'.replaceAll(' ', '')],
    ])
    expect(sink.tracks).toMatchObject([{ number: 3, kind: 'data', codecId: 'D_RTP' }])
    expect(Buffer.from(sink.tracks[0]!.codecPrivate).toString()).toBe(
      'a=rtpmap:96 X-THING/90000\r\na=fmtp:96 a=1;b=2\r\n',
    )
  })
})

describe('JPEG in RTP (RFC 2435)', () => {
  const SDP = 'm=video 0 RTP/AVP 26\n'
  const RATE = { payloadType: 26 } as const

  /** A grey JPEG's scan and its tables, from the file that libjpeg makes of a picture. */
  async function encoded(widthPx: number, heightPx: number) {
    const create = { width: widthPx, height: heightPx, channels: 3 as const, background: '#336699' }
    const file = await sharp({ create })
      .jpeg({ quality: 75, chromaSubsampling: '4:2:0', optimiseCoding: false })
      .toBuffer()
    const tables: Buffer[] = []
    let scan = file
    for (let at = 2; file[at] === 0xff;) {
      const marker = file[at + 1]!
      const end = at + 2 + file.readUInt16BE(at + 2)
      if (marker === 0xdb) {
        for (let table = at + 5; table < end; table += 65)
          tables.push(file.subarray(table, table + 64))
      }
      if (marker === 0xda) {
        scan = file.subarray(end)
        break
      }
      at = end
    }
    return { file, tables: Buffer.concat(tables), scan }
  }

  const header = (offset: number, type: number, q: number, width: number, height: number) =>
    Uint8Array.of(
      0,
      offset >> 16,
      (offset >> 8) & 0xff,
      offset & 0xff,
      type,
      q,
      width / 8,
      height / 8,
    )
  const joined = (...parts: Uint8Array[]) => Uint8Array.from(Buffer.concat(parts))
  const tableHeader = (tables: Uint8Array) =>
    joined(Uint8Array.of(0, 0, tables.length >> 8, tables.length & 0xff), tables)

  test('tables in the packets: the file decodes to the same pixels', async () => {
    const { file, tables, scan } = await encoded(64, 48)
    const cut = scan.length >> 1
    const { sink } = play(SDP, [
      {
        ...RATE,
        payload: joined(header(0, 1, 255, 64, 48), tableHeader(tables), scan.subarray(0, cut)),
      },
      { ...RATE, payload: joined(header(cut, 1, 255, 64, 48), scan.subarray(cut)), marker: true },
    ])

    const [sample] = sink.samples
    const pixels = await sharp(sample!.data).raw().toBuffer()
    expect(pixels.equals(await sharp(file).raw().toBuffer())).toBe(true)
    expect(sink.tracks).toMatchObject([
      { number: 1, codecId: 'V_MJPEG', video: { widthPx: 64, heightPx: 48 } },
    ])
  })

  test('tables by quality are those of the standard: 75 is 75', async () => {
    const { file, scan } = await encoded(64, 48)
    const packet = (timestamp: number): MadePacket => ({
      ...RATE,
      timestamp,
      payload: joined(header(0, 1, 75, 64, 48), scan),
      marker: true,
    })
    const { sink } = play(SDP, [packet(0), packet(3600)])

    const pixels = await sharp(sink.samples[0]!.data).raw().toBuffer()
    expect(pixels.equals(await sharp(file).raw().toBuffer())).toBe(true)
  })

  test('tables under a Q of 128 to 254 stay for the pictures that leave them out', async () => {
    const { tables, scan } = await encoded(64, 48)
    const { sink } = play(SDP, [
      {
        ...RATE,
        payload: joined(header(0, 1, 200, 64, 48), tableHeader(tables), scan),
        marker: true,
      },
      {
        ...RATE,
        timestamp: 3600,
        payload: joined(header(0, 1, 200, 64, 48), tableHeader(new Uint8Array(0)), scan),
        marker: true,
      },
    ])

    expect(sink.samples).toHaveLength(2)
    expect(Buffer.compare(sink.samples[0]!.data, sink.samples[1]!.data)).toBe(0)
  })

  test('pictures beyond 2040 pixels have their size from the SDP', async () => {
    const { scan } = await encoded(64, 48)
    const packet = (timestamp: number): MadePacket => ({
      ...RATE,
      timestamp,
      payload: joined(header(0, 1, 75, 0, 0), scan),
      marker: true,
    })
    const { sink } = play(`${SDP}a=x-dimensions:2560,1440\n`, [packet(0), packet(1)])

    expect(sink.tracks[0]!.video).toEqual({ widthPx: 2560, heightPx: 1440 })
  })

  test.each([
    ['a Q of 0', [header(0, 1, 0, 64, 48)]],
    [
      'tables that were never sent',
      [joined(header(0, 1, 140, 64, 48), tableHeader(new Uint8Array(0)))],
    ],
    ['a type that nobody defined', [header(0, 33, 75, 64, 48)]],
    ['tables longer than the packet', [joined(header(0, 1, 255, 64, 48), hex('000000ff'))]],
    ['a beginning that is missing', [joined(header(500, 1, 75, 64, 48), hex('aabb'))]],
    [
      'an offset that does not follow',
      [joined(header(0, 1, 75, 64, 48), hex('aabb')), joined(header(9, 1, 75, 64, 48), hex('cc'))],
    ],
  ])('a picture with %s is dropped', async (_rule, payloads) => {
    const { scan } = await encoded(64, 48)
    const good = (timestamp: number): MadePacket => ({
      ...RATE,
      timestamp,
      payload: joined(header(0, 1, 75, 64, 48), scan),
      marker: true,
    })
    const bad = payloads.map((payload, i) => ({
      ...RATE,
      timestamp: 100,
      payload,
      marker: i === payloads.length - 1,
    }))
    const { sink } = play(SDP, [good(0), ...bad, good(200)])

    expect(sink.samples.map(({ pts }) => pts)).toEqual([0, 200])
    expect([...sink.drops]).toEqual([['malformed-sample', 1]])
  })
})
