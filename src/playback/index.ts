export { createHls } from './hls/hls.ts'
export type { ChildQuery, Hls, HlsOptions, LiveOptions, PlaybackRange } from './hls/hls.ts'
