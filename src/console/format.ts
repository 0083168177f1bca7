import type { SessionStatus, TrackStatus } from './api-types.ts'

/** Decimal units, as disks are sold: 1.2 GB. */
export function formatBytes(bytes: number): string {
  return withUnit(bytes, ['B', 'kB', 'MB', 'GB', 'TB', 'PB'])
}

export function formatBitrate(bitsPerSecond: number): string {
  return withUnit(bitsPerSecond, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s'])
}

function withUnit(value: number, units: readonly string[]): string {
  let step = 0
  let rest = value
  while (rest >= 999.5 && step < units.length - 1) {
    rest /= 1_000
    step += 1
  }
  const digits = step > 0 && rest < 9.95 ? 1 : 0
  return `${rest.toFixed(digits)} ${units[step]!}`
}

/** 1 h, 36 h, 7 days, 10 years. */
export function formatRetention(hours: number): string {
  if (hours % 8_760 === 0) return plural(hours / 8_760, 'year')
  if (hours % 24 === 0 && hours >= 48) return plural(hours / 24, 'day')
  return `${hours} h`
}

/** Since when, in one unit: `now`, 12 s ago, 3 min ago, 5 h ago, 2 days ago. */
export function formatAge(thenMs: number, nowMs: number): string {
  const seconds = Math.max(0, Math.floor((nowMs - thenMs) / 1_000))
  if (seconds < 3) return 'now'
  if (seconds < 60) return `${seconds} s ago`
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`
  if (seconds < 48 * 3_600) return `${Math.floor(seconds / 3_600)} h ago`
  return `${plural(Math.floor(seconds / 86_400), 'day')} ago`
}

/** Until when, in one unit: now, in 12 s, in 3 min. */
export function formatWait(thenMs: number, nowMs: number): string {
  const seconds = Math.ceil((thenMs - nowMs) / 1_000)
  if (seconds < 1) return 'now'
  return seconds < 120 ? `in ${seconds} s` : `in ${Math.ceil(seconds / 60)} min`
}

export function formatScore(score: number): string {
  return `${Math.round(score * 100)} %`
}

/** By the viewer's clock: 14:03:27, with the date when it was not today. */
export function formatTime(timeMs: number, nowMs: number): string {
  const time = new Date(timeMs)
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map(twoDigits).join(':')
  if (time.toDateString() === new Date(nowMs).toDateString()) return clock
  const date = [time.getFullYear(), time.getMonth() + 1, time.getDate()].map(twoDigits).join('-')
  return `${date} ${clock}`
}

/** H.264 1280×720, 25 fps, 2.1 Mbit/s. Empty parts are left out. */
export function describeSession(session: SessionStatus): readonly string[] {
  const video = session.tracks.find(({ kind }) => kind === 'video')
  const audio = session.tracks.find(({ kind }) => kind === 'audio')
  const size = video?.widthPx && video.heightPx ? `${video.widthPx}×${video.heightPx}` : ''
  return [
    video ? nameCodec(video) : '',
    size,
    session.framesPerSecond > 0 ? `${Math.round(session.framesPerSecond * 10) / 10} fps` : '',
    session.bitrateBps > 0 ? formatBitrate(session.bitrateBps) : '',
    audio ? nameCodec(audio) : '',
  ].filter((part) => part !== '')
}

const CODEC_NAMES: readonly (readonly [prefix: string, name: string])[] = [
  ['avc', 'H.264'],
  ['hvc', 'H.265'],
  ['hev', 'H.265'],
  ['mp4a', 'AAC'],
  ['opus', 'Opus'],
  ['alaw', 'G.711 A'],
  ['ulaw', 'G.711 µ'],
  ['av01', 'AV1'],
  ['vp09', 'VP9'],
  ['mjpg', 'MJPEG'],
]

function nameCodec({ codec, codecId }: TrackStatus): string {
  const known = CODEC_NAMES.find(([prefix]) => codec.toLowerCase().startsWith(prefix))
  return known?.[1] ?? (codec || codecId)
}

function plural(count: number, unit: string): string {
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}
