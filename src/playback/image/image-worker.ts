import { serveRequests } from '../../platform/worker-requests.ts'
import { encodeImage } from './encode-image.ts'
import type { EncodedImage, ImageCall } from './image-call.ts'

// Entry of the worker thread that makes still images.

serveRequests<ImageCall, EncodedImage>(encodeImage, async () => undefined)
