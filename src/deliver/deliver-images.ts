import type { Fragment } from '../domain/fragment.ts'
import type { ImageGeneration } from '../registry/index.ts'
import { deliver } from './deliver.ts'
import { IMAGE_GENERATION_TAG, readFragmentTags, type FragmentTags } from './fragment-tags.ts'
import { toImageObject } from './image-object.ts'
import { toImageRequest } from './image-request.ts'
import { planImages, type LastImage } from './plan-images.ts'
import type { DeliveriesOptions, MadeImage } from './start-deliveries.ts'

/**
 * Delivers a fragment's images, earliest first. Their names are the same when a fragment is handled
 * again, and the last delivered one is kept before the checkpoint: a crash repeats objects of one
 * fragment, under their names.
 */
export function createImageDelivery(options: DeliveriesOptions) {
  const { archive, meta, registry, terms, metrics } = options

  return async (fragment: Fragment, signal: AbortSignal): Promise<void> => {
    const stream = registry.findById(fragment.streamId)
    const settings = stream?.imageGeneration ?? null
    if (stream === null || settings?.enabled !== true) return // changed meanwhile
    const { tracks, bytes } = await archive.read(fragment)
    if (!tracks.some(({ kind }) => kind === 'video')) return
    const tags = readFragmentTags(bytes)
    if (terms.images === 'tagged' && !tags.asks.has(IMAGE_GENERATION_TAG)) {
      metrics.deliverUntagged.inc({ stream: stream.name, kind: 'image' })
      return
    }
    const key = ['deliver', 'image', fragment.streamId]
    const span = toSpan(fragment, settings)
    const instants = planImages(span, meta.get<LastImage>(key), settings.samplingIntervalMs)
    for (let done = 0; done < instants.length;) {
      const left = instants.slice(done)
      const images = await options.makeImages(fragment.streamId, left, settings, signal)
      for (const image of images) {
        const wanted = { fragment, settings, tags, image, atMs: instants[done++]! }
        await deliverImage(wanted, stream.name, signal)
      }
    }
    const last = instants.at(-1)
    if (last === undefined) return
    const row: LastImage = { fragmentNumber: fragment.fragmentNumber, atMs: last }
    await meta.commit({ puts: [{ key, value: row }] })
  }

  async function deliverImage(
    { fragment, settings, tags, atMs, image }: WantedImage,
    streamName: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { accountId, clock, events } = options
    if (image === null) {
      events.imageSkipped({ stream: streamName, fragmentNumber: fragment.fragmentNumber, atMs })
      return
    }
    const { producerTimestamp, serverTimestamp } = fragment
    const shiftMs = settings.clock === 'server' ? serverTimestamp - producerTimestamp : 0
    const object = toImageObject({
      ...{ accountId, streamName, fragment, tags, atMs, format: settings.format },
      frameMs: image.frameTimestamp + shiftMs,
    })
    const request = toImageRequest(
      settings.destinationUri,
      { object, bytes: image.bytes },
      { terms, now: new Date(clock.now()) },
    )
    await deliver(request, { stream: streamName, kind: 'image' }, { clock, events, signal })
    events.imageDelivered({ stream: streamName, name: object.name, sizeBytes: image.bytes.length })
  }
}

type WantedImage = {
  readonly fragment: Fragment
  readonly settings: ImageGeneration
  readonly tags: FragmentTags
  readonly atMs: number
  readonly image: MadeImage | null
}

function toSpan(fragment: Fragment, { clock }: ImageGeneration) {
  const { fragmentNumber, producerTimestamp, serverTimestamp, durationMs, arrivalSpanMs } = fragment
  return clock === 'producer'
    ? { fragmentNumber, startMs: producerTimestamp, durationMs }
    : { fragmentNumber, startMs: serverTimestamp, durationMs: arrivalSpanMs }
}
