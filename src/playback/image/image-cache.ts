import type { EncodedImage } from './image-call.ts'

/** The images that were used last, up to a sum of bytes. */
export class ImageCache {
  readonly #maxBytes: number
  /** Least recently used first. */
  readonly #images = new Map<string, EncodedImage>()
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get(key: string): EncodedImage | null {
    const image = this.#images.get(key)
    if (image === undefined) return null
    this.#images.delete(key)
    this.#images.set(key, image)
    return image
  }

  set(key: string, image: EncodedImage): void {
    this.#remove(key)
    if (image.bytes.byteLength > this.#maxBytes) return
    this.#images.set(key, image)
    this.#bytes += image.bytes.byteLength
    for (const oldest of this.#images.keys()) {
      if (this.#bytes <= this.#maxBytes) return
      this.#remove(oldest)
    }
  }

  #remove(key: string): void {
    this.#bytes -= this.#images.get(key)?.bytes.byteLength ?? 0
    this.#images.delete(key)
  }
}
