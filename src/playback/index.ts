export { createHls } from './hls/hls.ts'
export type { ChildQuery, Hls, HlsOptions, LiveOptions } from './hls/hls.ts'
export type { PlaybackRange } from './hls/range-listing.ts'
