export {
  createImages,
  type ImageOptions,
  type Images,
  type ImagesOptions,
  type StillImage,
} from './images.ts'
