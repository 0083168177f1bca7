export {
  createImages,
  type ImageResult,
  type Images,
  type ImagesOptions,
  type ImagesQuestion,
  type StillImage,
} from './images.ts'
export type { ImageStyle } from './image-call.ts'
export type { ImageOptions } from './image-options.ts'
export type { ImageSize } from './image-size.ts'
