export { createHls } from './hls/hls.ts'
export type { ChildQuery, Hls, HlsOptions, LiveOptions, PlaybackRange } from './hls/hls.ts'
export type { MediaSegment } from './hls/segment-reader.ts'
export {
  createLowLatencyHls,
  type LowLatencyHls,
  type LowLatencyOptions,
  type LowLatencyRequest,
  type PartPosition,
} from './low-latency/index.ts'
export type { SessionContainer, TrackChoice } from './hls/session-playlists.ts'
export type { SessionRequest } from './session/open-session.ts'
export { createStreamingSessions, type StreamingSessions } from './session/streaming-sessions.ts'
export type {
  DiscontinuityMode,
  PlaybackMode,
  StreamingSession,
} from './session/streaming-session.ts'
export {
  createPlayableAudio,
  type FragmentSource,
  type PlayableAudio,
  type PlayableAudioOptions,
  type PlayableFragment,
} from './audio/index.ts'
export { createImages } from './image/index.ts'
export type {
  ImageOptions,
  ImageResult,
  Images,
  ImagesOptions,
  ImagesQuestion,
  ImageSize,
  ImageStyle,
  StillImage,
} from './image/index.ts'
export { createClips } from './clip/index.ts'
export type { Clip, ClipLimits, ClipPart, ClipRange, Clips, ClipsOptions } from './clip/index.ts'
export {
  fragmentPages,
  startOf,
  toKey,
  type FragmentKey,
  type SelectorClock,
} from './fragment-pages.ts'
