import type { MakeImages } from './deliver/index.ts'
import type { Images } from './playback/index.ts'

/** Together; what is left is asked for again. */
const MAX_BYTES = 32 * 1024 * 1024
/** As GetImages, whose settings these are. */
const DEFAULT_QUALITY = 80

/** Images for deliveries, out of the archive. */
export function createMakeImages(images: Images): MakeImages {
  return async (streamId, instants, settings, signal) => {
    const { clock: by, format, jpegQuality, widthPixels, heightPixels } = settings
    const question = {
      ...{ by, instants, maxBytes: MAX_BYTES },
      style: {
        format: format === 'PNG' ? ('png' as const) : ('jpeg' as const),
        quality: jpegQuality ?? DEFAULT_QUALITY,
        size: { widthPx: widthPixels, heightPx: heightPixels, limit: 'none' as const },
      },
    }
    return (await images.imagesAt(streamId, question, signal)).map(({ image }) => image)
  }
}
