import type { StoredFragment } from '../../../src/archive/index.ts'
import type { Fragment } from '../../../src/domain/fragment.ts'
import { toStreamId } from '../../../src/domain/stream.ts'
import { epochMs } from '../../../src/domain/time.ts'
import { CODEC_AAC, CODEC_AVC, type Track } from '../../../src/domain/track.ts'
import { clusterStart, simpleBlockHead } from '../../../src/media/matroska/writer.ts'
import {
  createStreamingSessions,
  type SessionRequest,
  type StreamingSession,
  type TrackChoice,
} from '../../../src/playback/index.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { readManifest } from '../support/check-manifest.ts'
import { readMediaPlaylist } from '../support/check-playlist.ts'
import { MemoryArchive } from '../support/memory-archive.ts'

export const streamId = toStreamId('camera', 0)
export const START = Date.UTC(2026, 0, 2)

export const VIDEO: Track = {
  number: 1,
  kind: 'video',
  codecId: CODEC_AVC,
  codecPrivate: Buffer.from(
    '014d4015ffe1001d674d4015e883c05ff02e02d40404050000030001000003003c0f162d1201000468ebaf20',
    'hex',
  ),
  timescale: 1000,
  video: { widthPx: 480, heightPx: 360 },
  audio: null,
}
export const LARGER: Track = { ...VIDEO, video: { widthPx: 640, heightPx: 480 } }
export const AUDIO: Track = {
  number: 2,
  kind: 'audio',
  codecId: CODEC_AAC,
  codecPrivate: Buffer.from('1210', 'hex'),
  timescale: 1000,
  video: null,
  audio: { sampleRateHz: 44_100, channels: 2 },
}

/** A fragment of five pictures, 40 ms apart, and one frame of sound. */
function stored(tracks: readonly Track[]): StoredFragment {
  const block = (trackNumber: number, relativeMs: number) => [
    simpleBlockHead({ trackNumber, relativeMs, isKey: relativeMs === 0, payloadLength: 1 }),
    Uint8Array.of(1),
  ]
  const blocks = [0, 40, 80, 120, 160].flatMap((ms) => block(1, ms))
  const bytes = Buffer.concat([clusterStart(START), ...blocks, ...block(2, 0)])
  return { header: new Uint8Array(0), tracks, bytes: new Uint8Array(bytes) }
}

export type Row = Partial<Fragment> & {
  readonly tracks?: readonly Track[]
  /** Behind the end of the one before. */
  readonly gapMs?: number
}

const LIVE: SessionRequest = {
  streamId,
  mode: 'LIVE',
  clock: 'producer',
  range: null,
  discontinuities: 'ON_DISCONTINUITY',
  showTimestamps: false,
  showNumbers: false,
  window: { fragments: 5, bound: 'usual' },
}

/** A stream whose fragments come when told, and sessions of it; `restart` forgets what is not in them. */
export class SessionStand {
  readonly archive = new MemoryArchive()
  readonly clock = new ManualClock(START)
  sessions = this.#create()

  #create() {
    return createStreamingSessions({ archive: this.archive, clock: this.clock })
  }

  /** A fragment that ends now, after as long as it takes. */
  add({ tracks = [VIDEO, AUDIO], gapMs = 0, ...row }: Row = {}): Fragment {
    const durationMs = row.durationMs ?? 2000
    const began = this.clock.now() + gapMs
    this.clock.advance(gapMs + durationMs)
    const chunkId = tracks.map(({ video, number }) => `${number}:${video?.widthPx}`).join()
    return this.archive.add(
      {
        streamId,
        producerTimestamp: epochMs(began),
        serverTimestamp: row.producerTimestamp ?? epochMs(began),
        durationMs,
        arrivalSpanMs: durationMs,
        place: { chunkId, offset: 0 },
        ...row,
      },
      stored(tracks),
    )
  }

  addAll(rows: readonly Row[]): readonly Fragment[] {
    return rows.map((row) => this.add(row))
  }

  open(change: Partial<SessionRequest> = {}): Promise<StreamingSession> {
    return this.sessions.open({ ...LIVE, ...change })
  }

  restart(): void {
    this.sessions = this.#create()
  }

  async media(session: StreamingSession, tracks: TrackChoice = 'video'): Promise<string> {
    const choice = { tracks, container: 'FRAGMENTED_MP4' as const }
    return (await this.sessions.hlsMedia(session, choice, URIS)).text
  }

  async read(session: StreamingSession, tracks: TrackChoice = 'video') {
    return readMediaPlaylist(await this.media(session, tracks))
  }

  async master(session: StreamingSession): Promise<string> {
    return (await this.sessions.hlsMaster(session, 'FRAGMENTED_MP4', URIS)).text
  }

  async manifest(session: StreamingSession) {
    return readManifest((await this.sessions.dashManifest(session, DASH_URIS)).text)
  }
}

export const URIS = {
  media: (tracks: TrackChoice) => `media-${tracks}.m3u8`,
  init: (tracks: TrackChoice, initId: string) => `init-${tracks}-${initId}.mp4`,
  segment: (tracks: TrackChoice, fragment: Fragment | null) =>
    `${tracks}-${fragment?.fragmentNumber ?? 'none'}.mp4`,
}
const DASH_URIS = {
  init: (kind: 'video' | 'audio', initId: string) => `init.mp4?a=1&kind=${kind}&id=${initId}`,
  media: (kind: 'video' | 'audio') => `media.mp4?kind=${kind}&time=$Time$`,
}
