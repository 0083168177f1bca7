/**
 * Images of a stream that are made and delivered while it is recorded (Kinesis Video Streams API,
 * ImageGenerationConfiguration).
 */
export type ImageGeneration = {
  readonly enabled: boolean
  /** By which clock images are apart. */
  readonly clock: 'producer' | 'server'
  /** `s3://bucket/prefix`, or an `http` or `https` URL. */
  readonly destinationUri: string
  readonly destinationRegion: string
  /** At least 200. */
  readonly samplingIntervalMs: number
  readonly format: 'JPEG' | 'PNG'
  /** 1..100; `null`: 80, as was asked for by saying nothing. */
  readonly jpegQuality: number | null
  /** 1..3840; one of the two alone keeps the proportions. */
  readonly widthPixels: number | null
  /** 1..2160. */
  readonly heightPixels: number | null
}

/** Word of a stream's fragments (Kinesis Video Streams API, NotificationConfiguration). */
export type StreamNotification = {
  readonly enabled: boolean
  /** An `http` or `https` URL, or the ARN of an SNS topic. */
  readonly destinationUri: string
}
