import type { ImageGeneration } from '../../../registry/index.ts'
import {
  constraintFailure,
  integer,
  map,
  oneOf,
  required,
  string,
  structure,
  validationError,
  type InputOf,
} from '../../aws/input-schema.ts'
import { destinationUri, requireDeliverable } from './destination.ts'

/** ImageGenerationConfiguration, as clients write it. */
export const imageGenerationConfiguration = structure({
  Status: required(oneOf(['ENABLED', 'DISABLED'])),
  ImageSelectorType: required(oneOf(['SERVER_TIMESTAMP', 'PRODUCER_TIMESTAMP'])),
  DestinationConfig: required(
    structure({
      Uri: required(destinationUri),
      DestinationRegion: required(
        string({ min: 9, max: 14, pattern: '[a-z]+(-[a-z]+)?-[a-z]+-[0-9]' }),
      ),
    }),
  ),
  SamplingInterval: required(integer({ min: 200 })),
  Format: required(oneOf(['JPEG', 'PNG'])),
  FormatConfig: map(
    oneOf(['JPEGQuality']),
    string({ min: 0, max: 256, pattern: '[a-zA-Z_0-9]+' }),
    { min: 1, max: 1 },
  ),
  WidthPixels: integer({ min: 1, max: 3840 }),
  HeightPixels: integer({ min: 1, max: 2160 }),
})

/** @throws ServiceError `invalid-argument` */
export function readImageGeneration(
  input: InputOf<typeof imageGenerationConfiguration>,
): ImageGeneration {
  requireDeliverable(input.DestinationConfig.Uri, ['s3://bucket/prefix', 'an http or https URL'])
  return {
    enabled: input.Status === 'ENABLED',
    clock: input.ImageSelectorType === 'SERVER_TIMESTAMP' ? 'server' : 'producer',
    destinationUri: input.DestinationConfig.Uri,
    destinationRegion: input.DestinationConfig.DestinationRegion,
    samplingIntervalMs: input.SamplingInterval,
    format: input.Format,
    jpegQuality: readQuality(input.FormatConfig?.['JPEGQuality']),
    widthPixels: input.WidthPixels ?? null,
    heightPixels: input.HeightPixels ?? null,
  }
}

export function toImageGenerationConfiguration(terms: ImageGeneration): object {
  const { jpegQuality, widthPixels, heightPixels } = terms
  return {
    Status: terms.enabled ? 'ENABLED' : 'DISABLED',
    ImageSelectorType: terms.clock === 'server' ? 'SERVER_TIMESTAMP' : 'PRODUCER_TIMESTAMP',
    DestinationConfig: { Uri: terms.destinationUri, DestinationRegion: terms.destinationRegion },
    SamplingInterval: terms.samplingIntervalMs,
    Format: terms.format,
    ...(jpegQuality !== null && { FormatConfig: { JPEGQuality: String(jpegQuality) } }),
    ...(widthPixels !== null && { WidthPixels: widthPixels }),
    ...(heightPixels !== null && { HeightPixels: heightPixels }),
  }
}

function readQuality(text: string | undefined): number | null {
  if (text === undefined) return null
  const quality = Number(text)
  if (Number.isInteger(quality) && quality >= 1 && quality <= 100) return quality
  const at = 'imageGenerationConfiguration.formatConfig.JPEGQuality'
  throw validationError([constraintFailure(text, at, 'be an integer from 1 to 100')])
}
