export { createHls } from './hls/hls.ts'
export type {
  ChildQuery,
  Hls,
  HlsOptions,
  LiveOptions,
  MediaSegment,
  PlaybackRange,
} from './hls/hls.ts'
export { createImages } from './image/index.ts'
export type { ImageOptions, Images, ImagesOptions, StillImage } from './image/index.ts'
