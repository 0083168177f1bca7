import { serveRequests } from '../../platform/worker-requests.ts'
import { encodeImages } from './encode-images.ts'
import type { ImageAnswer, ImageCall } from './image-call.ts'

// Entry of the worker thread that makes still images.

serveRequests<ImageCall, ImageAnswer>(encodeImages, async () => undefined)
