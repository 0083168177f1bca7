import { Type, type Static } from '@sinclair/typebox'
import type { FrameDetections } from '../domain/detection.ts'
import type { Fragment } from '../domain/fragment.ts'
import type { EpochMs } from '../domain/time.ts'

const fraction = (description: string) => Type.Number({ minimum: 0, maximum: 1, description })
const isoTime = (description: string) =>
  Type.String({
    pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$',
    description,
  })

/**
 * What a model found on one frame, as it stands on the results stream and in the control API; see
 * docs/ref/detection-record.md. Fields may be added within a version; readers ignore unknown ones.
 */
export const detectionRecordSchema = Type.Object(
  {
    type: Type.Literal('kinora.detection'),
    version: Type.Literal(1),
    id: Type.String({
      description:
        '<stream>/<fragment number>/<frame timestamp, ms>/<model>: the same when a frame is published again.',
    }),
    streamName: Type.String({ minLength: 1, maxLength: 256 }),
    fragmentNumber: Type.String({ pattern: '^[0-9]{47}$' }),
    frameTimestamp: isoTime("When the frame is presented, by the producer's clock."),
    serverTimestamp: isoTime("When the frame's fragment began to arrive, by the server's clock."),
    model: Type.Object({
      name: Type.String(),
      version: Type.String(),
      sha256: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'Of the ONNX file.' }),
    }),
    frame: Type.Object({
      widthPx: Type.Integer({ minimum: 1 }),
      heightPx: Type.Integer({ minimum: 1 }),
    }),
    detections: Type.Array(
      Type.Object({
        label: Type.String({ minLength: 1, maxLength: 256 }),
        score: fraction('As the model gives it.'),
        box: Type.Object(
          {
            left: fraction('From the left edge.'),
            top: fraction('From the top edge.'),
            width: fraction('Of the width of the picture.'),
            height: fraction('Of the height of the picture.'),
          },
          { description: 'Fractions of the picture.' },
        ),
      }),
      { minItems: 1 },
    ),
    imageUrl: Type.String({
      pattern: '^/(?!/)',
      description: "The frame as a picture; a path below the service's public URL.",
    }),
  },
  { $id: 'kinora.detection.v1', title: 'Kinora detection record' },
)

export type DetectionRecord = Static<typeof detectionRecordSchema>

export type ModelIdentity = {
  readonly name: string
  readonly version: string
  /** Lower-case hex, of the ONNX file. */
  readonly sha256: string
}

/** One record per frame on which something was found; frames without detections give none. */
export function toDetectionRecords(options: {
  readonly streamName: string
  readonly fragment: Pick<Fragment, 'fragmentNumber' | 'serverTimestamp'>
  readonly model: ModelIdentity
  readonly frames: readonly FrameDetections[]
}): DetectionRecord[] {
  const { streamName, fragment, model } = options
  return options.frames
    .filter(({ detections }) => detections.length > 0)
    .map(({ frameTimestamp, frame, detections }) => ({
      type: 'kinora.detection',
      version: 1,
      id: `${streamName}/${fragment.fragmentNumber}/${frameTimestamp}/${model.name}`,
      streamName,
      fragmentNumber: fragment.fragmentNumber,
      frameTimestamp: toIsoTime(frameTimestamp),
      serverTimestamp: toIsoTime(fragment.serverTimestamp),
      model: { name: model.name, version: model.version, sha256: model.sha256 },
      frame: { widthPx: frame.widthPx, heightPx: frame.heightPx },
      detections: detections.map(({ label, score, box }) => ({
        label,
        score: round(score),
        box: {
          left: round(box.left),
          top: round(box.top),
          width: round(box.width),
          height: round(box.height),
        },
      })),
      imageUrl: `/streams/${encodeURIComponent(streamName)}/image.jpg?at=${frameTimestamp}`,
    }))
}

function toIsoTime(time: EpochMs): string {
  return new Date(time).toISOString()
}

/** Five places are a hundredth of a pixel on a 1080p picture; and floats stay inside 0..1. */
function round(value: number): number {
  return Math.min(1, Math.max(0, Math.round(value * 100_000) / 100_000))
}
