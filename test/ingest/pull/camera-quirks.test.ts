import { describe, expect, test } from 'vitest'
import { H264_SDP, keyFrame, keySlice, PPS, SPS } from '../../support/rtsp-client.ts'
import { rtpPacket } from '../rtp/recording-sink.ts'
import { sendKeyFrame, startCamera, startPull, type CameraQuirks } from './rtsp-pull-fixture.ts'

// One row per row of the table of camera quirks in docs/design/ingest.md: the replies are written by
// us after what is documented of them. Whatever a camera does, three key frames are stored.

const ok = ({ cseq }: { readonly cseq: string }) => `RTSP/1.0 200 OK\nCSeq: ${cseq}`
const sdpOf = (...lines: readonly string[]) => `${lines.join('\r\n')}\r\n`
const FMTP = H264_SDP.split('\r\n').find((line) => line.startsWith('a=fmtp'))!
const VIDEO = ['m=video 0 RTP/AVP 96', 'a=rtpmap:96 H264/90000', FMTP]
const HEAD = ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=Media Presentation', 't=0 0']

type Row = {
  readonly vendor: string
  readonly quirk: string
  readonly path?: string
  readonly quirks: CameraQuirks
  /** URLs of SETUP and PLAY, where they are what matters; PORT stands for the port. */
  readonly setups?: readonly string[]
  readonly plays?: readonly string[]
}

const ROWS: readonly Row[] = [
  {
    vendor: 'Reolink (live555 of 2013)',
    quirk: 'media of another session before PLAY and between ours',
    quirks: {
      before: ({ method }, camera) => {
        if (method === 'SETUP' || method === 'DESCRIBE') sendKeyFrame(camera, 90, 0xdead)
      },
      setup: (request) => `${ok(request)}
        Session: 6F2C4F19;timeout=65
        Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc=12345678`,
      media: (camera) => {
        sendKeyFrame(camera, 91, 0xdead)
        for (const index of [0, 1, 2]) {
          sendKeyFrame(camera, index)
          sendKeyFrame(camera, 92, 0xdead)
        }
      },
    },
  },
  {
    vendor: 'Reolink (live555 of 2013)',
    quirk: 'media before PLAY that looks like ours',
    quirks: {
      describe: (request) => [
        ok(request),
        sdpOf(...HEAD, ...VIDEO, 'a=control:v', 'm=audio 0 RTP/AVP 8', 'a=control:a'),
      ],
      instead: (request, camera) => {
        if (request.method !== 'SETUP' || !request.uri.endsWith('/a')) return false
        camera.socket.cork() // all in one read, before PLAY can be asked for
        camera.say(`${ok(request)}\nTransport: RTP/AVP/TCP;unicast;interleaved=2-3`)
        for (const index of [97, 98, 99]) sendKeyFrame(camera, index)
        camera.socket.uncork()
        return true
      },
    },
  },
  {
    vendor: 'Hikvision DS-2CD2032',
    quirk: 'absolute controls, an SSRC with spaces, RTP-Info from nowhere',
    path: '/Streaming/Channels/101',
    quirks: {
      describe: (request, port) => [
        `${ok(request)}
        Content-Type: application/sdp
        Content-Base: rtsp://127.0.0.1:${port}/Streaming/Channels/101/`,
        sdpOf(
          ...HEAD,
          `a=control:rtsp://127.0.0.1:${port}/Streaming/Channels/101/`,
          ...VIDEO,
          `a=control:rtsp://127.0.0.1:${port}/Streaming/Channels/101/trackID=1`,
          'a=Media_header:MEDIAINFO=494D4B48010100000400;',
        ),
      ],
      setup: (request) => `${ok(request)}
        Session:        1273222592;timeout=60
        Transport: RTP/AVP/TCP;unicast;interleaved=0-1;ssrc= 1234 5678;mode="play"`,
      play: (request) => `${ok(request)}
        Session: 1273222592
        RTP-Info: url=trackID=1;seq=0;rtptime=0;ssrc= 1234`,
    },
    setups: ['rtsp://127.0.0.1:PORT/Streaming/Channels/101/trackID=1'],
    plays: ['rtsp://127.0.0.1:PORT/Streaming/Channels/101/'],
  },
  {
    vendor: 'Dahua, Amcrest',
    quirk: 'the track behind the query, a back channel that is left alone',
    path: '/cam/realmonitor?channel=1&subtype=0&unicast=true&proto=Onvif',
    quirks: {
      describe: (request, port) => [
        `${ok(request)}
        x-Accept-Dynamic-Rate: 1
        Content-Base: rtsp://127.0.0.1:${port}/cam/realmonitor?channel=1&subtype=0/
        Cache-Control: must-revalidate
        Content-Type: application/sdp`,
        sdpOf(
          ...[...HEAD, 'a=control:*', 'a=range:npt=now-', 'a=packetization-supported:DH'],
          ...[...VIDEO, 'a=control:trackID=0', 'a=recvonly'],
          ...['m=audio 0 RTP/AVP 8', 'a=rtpmap:8 PCMA/8000', 'a=control:trackID=5', 'a=sendonly'],
        ),
      ],
    },
    setups: ['rtsp://127.0.0.1:PORT/cam/realmonitor?channel=1&subtype=0/trackID=0'],
    plays: ['rtsp://127.0.0.1:PORT/cam/realmonitor?channel=1&subtype=0/'],
  },
  {
    vendor: 'Tapo, VIGI',
    quirk: 'media lines that do not parse, RTCP of nobody, RTP-Info with seq=1',
    quirks: {
      describe: (request, port) => [
        `${ok(request)}
        Content-Type: application/sdp
        Content-Base: rtsp://127.0.0.1:${port}/stream1/`,
        sdpOf(
          ...[...HEAD, ...VIDEO, 'a=control:track1'],
          ...['m=application/TP-LINK 0 RTP/AVP smart/1/90000', 'a=rtpmap:95 TP-LINK/90000'],
          ...['a=control:track3'],
        ),
      ],
      play: (request) => `${ok(request)}
        RTP-Info: url=rtsp://127.0.0.1/stream1/track1;seq=1;rtptime=0`,
      media: (camera) => {
        camera.frame(1, Uint8Array.from(Buffer.from('80c80006deadbeef'.padEnd(56, '0'), 'hex')))
        for (const index of [0, 1, 2]) sendKeyFrame(camera, index)
      },
    },
    setups: ['rtsp://127.0.0.1:PORT/stream1/track1'],
  },
  {
    vendor: 'UniFi',
    quirk: 'parameters of a format without data',
    quirks: {
      describe: (request) => [
        `${ok(request)}\nContent-Type: application/sdp`,
        sdpOf(...HEAD, 'm=video 0 RTP/AVP 96', 'a=rtpmap:96 H264/90000', 'a=fmtp:96 '),
      ],
    },
  },
  {
    vendor: 'Longse, OMNY',
    quirk: 'spaces at the ends of lines',
    quirks: {
      describe: (request) => [
        `RTSP/1.0 200 OK  \nCSeq: ${request.cseq}  \nContent-Type: application/sdp  `,
        sdpOf(...HEAD, ...VIDEO, 'a=control:trackID=0').replaceAll('\r\n', '  \r\n'),
      ],
      setup: (request) =>
        `${ok(request)} \nSession: 77 ; timeout=60 \nTransport: RTP/AVP/TCP; unicast; interleaved=0-1 `,
    },
    setups: ['rtsp://127.0.0.1:PORT/live/trackID=0'],
  },
  {
    vendor: 'Laureii',
    quirk: 'a semicolon too many',
    quirks: {
      setup: (request) =>
        `${ok(request)}\nSession: 77;\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1;`,
      play: (request) => `${ok(request)}\nRTP-Info: url=rtsp://h/live/trackID=0;seq=1;rtptime=2;`,
    },
  },
  {
    vendor: 'Luckfox (rkipc)',
    quirk: 'parameters in an order of their own',
    quirks: {
      setup: (request) =>
        `${ok(request)}\nTransport: RTP/AVP/TCP;interleaved=0-1;ssrc=12345678;unicast\nSession: 1`,
    },
  },
  {
    vendor: 'Anjvision',
    quirk: 'Content-Base without a scheme',
    quirks: {
      describe: (request, port) => [
        `${ok(request)}
        Content-Type: application/sdp
        Content-Base: 127.0.0.1:${port}/stream0/`,
        sdpOf(...HEAD, ...VIDEO, 'a=control:track1'),
      ],
    },
    setups: ['rtsp://127.0.0.1:PORT/stream0/track1'],
  },
  {
    vendor: 'Various',
    quirk: 'no Content-Type, no o= line, no CSeq in answers',
    quirks: {
      options: () => 'RTSP/1.0 200 OK\nPublic: OPTIONS',
      describe: () => ['RTSP/1.0 200 OK', sdpOf('v=0', ...VIDEO, 'a=control:trackID=0')],
      setup: () => 'RTSP/1.0 200 OK\nSession: 1',
      play: () => 'RTSP/1.0 200 OK',
    },
  },
  {
    vendor: 'GW Security',
    quirk: 'a bad SPS in the description, good ones in band',
    quirks: {
      describe: (request) => [
        `${ok(request)}\nContent-Type: application/sdp`,
        sdpOf(
          ...[...HEAD, 'm=video 0 RTP/AVP 96', 'a=rtpmap:96 H264/90000'],
          ...['a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0IAKpY1QPAE,aM48'],
        ),
      ],
    },
  },
  {
    vendor: 'V380',
    quirk: 'start codes inside RTP',
    quirks: {
      media: (camera) => {
        const code = Uint8Array.of(0, 0, 0, 1)
        for (const index of [0, 1, 2]) {
          const parts = [SPS, PPS, keySlice(index)].flatMap((unit) => [code, unit])
          const payload = Uint8Array.from(Buffer.concat(parts))
          const timestamp = index * 90_000
          camera.frame(0, rtpPacket({ payload, timestamp, sequence: index, marker: true }))
        }
      },
    },
  },
  {
    vendor: 'Foscam, VStarcam',
    quirk: 'no marker bits',
    quirks: {
      media: (camera) => {
        for (const index of [0, 1, 2]) {
          for (const packet of keyFrame(index, index * 90_000)) {
            packet[1]! &= 0x7f
            camera.frame(0, packet)
          }
        }
      },
    },
  },
  {
    vendor: 'EZVIZ',
    quirk: 'lines of the description that are nothing',
    quirks: {
      describe: (request) => [
        `${ok(request)}\nContent-Type: application/sdp`,
        sdpOf(
          ...['v=0', 'o=- ', 's', '', 'b=AS:5100', 'm=', 'a=x', ...VIDEO, 'a', 'a=control:v'],
          ...['m=video', 'a=control:w', 'm=audio 0 RTP/AVP', 'a=rtpmap:104 mpeg4-generic'],
        ),
      ],
    },
    setups: ['rtsp://127.0.0.1:PORT/live/v'],
  },
  {
    vendor: 'Various',
    quirk: 'channels other than those asked for',
    quirks: {
      setup: (request) => `${ok(request)}\nTransport: RTP/AVP/TCP;unicast;interleaved=4-5`,
      media: (camera) => {
        for (const index of [0, 1, 2]) {
          for (const packet of keyFrame(index, index * 90_000)) camera.frame(4, packet)
        }
      },
    },
  },
]

describe('a camera', () => {
  test.each(ROWS)('$vendor: $quirk', async ({ path, quirks, setups, plays }) => {
    const camera = await startCamera(quirks)
    const pull = await startPull({ url: camera.url(path) })
    const live = await pull.publishing.first(() => true)
    while (live.snapshot().lastSampleAt === null) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await pull.stop()).toBeNull()

    expect(await pull.indexes()).toEqual([0, 1, 2])
    const told = (urls: readonly string[]) =>
      urls.map((url) => url.replace(`:${camera.port}/`, ':PORT/'))
    if (setups !== undefined) expect(told(camera.urls('SETUP'))).toEqual(setups)
    if (plays !== undefined) expect(told(camera.urls('PLAY'))).toEqual(plays)
    expect(camera.methods().at(-1)).toBe('TEARDOWN')
  })

  test('Various: a session id that changes with every SETUP: the latest counts', async () => {
    const camera = await startCamera({
      describe: (request) => [
        `${ok(request)}\nContent-Type: application/sdp`,
        sdpOf(...HEAD, ...VIDEO, 'a=control:v', 'm=audio 0 RTP/AVP 8', 'a=control:a'),
      ],
      setup: (request, nth) =>
        `${ok(request)}\nSession: id${nth}\nTransport: ${request.headers.get('transport')![0]}`,
    })
    const pull = await startPull({ url: camera.url() })
    await pull.publishing.first(() => true)
    await pull.stop()

    expect(camera.headers('SETUP', 'session')).toEqual([null, 'id0'])
    expect(camera.headers('SETUP', 'transport')).toEqual([
      'RTP/AVP/TCP;unicast;interleaved=0-1',
      'RTP/AVP/TCP;unicast;interleaved=2-3',
    ])
    expect(camera.headers('PLAY', 'session')).toEqual(['id1'])
    expect(camera.headers('TEARDOWN', 'session')).toEqual(['id1'])
  })
})
