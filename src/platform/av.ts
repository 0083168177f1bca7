/**
 * The only door to node-av (FFmpeg inside an npm package). What is behind it calls FFmpeg
 * synchronously: it belongs into worker threads, never onto the main event loop. A build without
 * the package replaces this file and nothing else.
 */
export { VideoDecoder, type CodedSample, type DecodedFrame } from './av/video-decoder.ts'
export { rgb24Picture, type Picture } from './av/picture.ts'
export { TensorScaler, type Placement, type TensorLayout } from './av/tensor-scaler.ts'
export { toRgb24, type Rgb24Image } from './av/rgb24-image.ts'
export { remuxToMatroska, type RemuxOptions } from './av/remux-matroska.ts'
export { openMediaFile, type MediaFile, type MediaFileSample } from './av/media-file.ts'
export { AudioDecoder, type AudioSource, type DecodedSound } from './av/audio-decoder.ts'
export {
  AacEncoder,
  AAC_BLOCK_SAMPLES,
  AAC_LOOKAHEAD_FRAMES,
  type AacBlock,
  type AacFormat,
} from './av/aac-encoder.ts'
