import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Type, type Static } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { ServiceError } from '../domain/errors.ts'

const closed = { additionalProperties: false } as const

const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' })
const Fraction = Type.Number({ minimum: 0, maximum: 1 })
const Triple = Type.Tuple([Type.Number(), Type.Number(), Type.Number()])
const PositiveTriple = Type.Tuple([
  Type.Number({ exclusiveMinimum: 0 }),
  Type.Number({ exclusiveMinimum: 0 }),
  Type.Number({ exclusiveMinimum: 0 }),
])

const InputSchema = Type.Object(
  {
    name: Type.String({ minLength: 1 }),
    layout: Type.Literal('NCHW'),
    width: Type.Integer({ minimum: 1, maximum: 4096 }),
    height: Type.Integer({ minimum: 1, maximum: 4096 }),
    /** 2: the sampled frame before and this one, as a batch of two. */
    frames: Type.Union([Type.Literal(1), Type.Literal(2)]),
    channelOrder: Type.Union([Type.Literal('RGB'), Type.Literal('BGR')]),
    letterbox: Type.Union([
      Type.Literal('top-left'),
      Type.Literal('centre'),
      Type.Literal('stretch'),
    ]),
    padValue: Type.Number({ minimum: 0, maximum: 255 }),
    mean: Triple,
    std: PositiveTriple,
  },
  closed,
)

const YoloxSchema = Type.Object(
  {
    type: Type.Literal('yolox'),
    output: Type.String({ minLength: 1 }),
    strides: Type.Array(Type.Integer({ minimum: 1 }), { minItems: 1 }),
  },
  closed,
)

const NanodetSchema = Type.Object(
  {
    type: Type.Literal('nanodet'),
    levels: Type.Array(
      Type.Object(
        {
          stride: Type.Integer({ minimum: 1 }),
          scores: Type.String({ minLength: 1 }),
          boxes: Type.String({ minLength: 1 }),
        },
        closed,
      ),
      { minItems: 1 },
    ),
    /** Bins of one side's distance distribution. */
    bins: Type.Integer({ minimum: 2, maximum: 64 }),
  },
  closed,
)

const MotionMapSchema = Type.Object(
  {
    type: Type.Literal('motion-map'),
    output: Type.String({ minLength: 1 }),
    /** A region needs one cell of at least `high`; it grows over cells of at least `low`. */
    low: Fraction,
    high: Fraction,
    minCells: Type.Integer({ minimum: 1 }),
    /** Regions with at most this many empty cells between them are one. */
    mergeGapCells: Type.Integer({ minimum: 0, maximum: 16 }),
  },
  closed,
)

const ManifestSchema = Type.Object(
  {
    name: Type.String({ pattern: '^[a-z0-9][a-z0-9._-]{0,63}$' }),
    version: Type.String({ minLength: 1 }),
    description: Type.String(),
    source: Type.Object(
      { url: Type.String({ minLength: 1 }), commit: Type.Optional(Type.String()) },
      closed,
    ),
    licence: Type.String({ minLength: 1 }),
    /** A file name, never a path: it lies beside the manifest. */
    file: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$' }),
    sha256: Sha256,
    sizeBytes: Type.Integer({ minimum: 1 }),
    input: InputSchema,
    output: Type.Union([YoloxSchema, NanodetSchema, MotionMapSchema]),
    labels: Type.Array(Type.String({ minLength: 1 }), { minItems: 1 }),
    defaults: Type.Object({ minScore: Fraction, iou: Fraction }, closed),
  },
  closed,
)

/** What a model is and how to feed and read it: models/<name>/manifest.json. */
export type ModelManifest = Static<typeof ManifestSchema>
export type ModelInput = ModelManifest['input']
export type YoloxOutput = Static<typeof YoloxSchema>
export type NanodetOutput = Static<typeof NanodetSchema>
export type MotionMapOutput = Static<typeof MotionMapSchema>

export type Model = { readonly manifest: ModelManifest; readonly onnx: Uint8Array }

/**
 * @param origin names the file in the message
 * @throws ServiceError `invalid-argument`/`ModelManifestInvalid` with the first offending field
 */
export function parseManifest(value: unknown, origin: string): ModelManifest {
  const first = Value.Errors(ManifestSchema, value).First()
  if (first === undefined) return value as ModelManifest
  throw new ServiceError(
    'invalid-argument',
    'ModelManifestInvalid',
    `${origin}: ${first.path === '' ? 'the manifest' : first.path}: ${first.message}.`,
  )
}

/**
 * Reads a model's folder. The ONNX bytes are checked against the manifest before anything parses
 * them: a model file is code for the inference engine.
 *
 * @throws ServiceError `not-found`/`ModelNotFound`, `invalid-argument`/`ModelManifestInvalid`,
 *   `data-loss`/`ModelCorrupt`
 */
export async function loadModel(directory: string): Promise<Model> {
  const manifest = await loadManifest(directory)
  const path = join(directory, manifest.file)
  const onnx = await readModelFile(path)
  const sha256 = createHash('sha256').update(onnx).digest('hex')
  if (sha256 !== manifest.sha256) {
    throw new ServiceError(
      'data-loss',
      'ModelCorrupt',
      `${path} has sha256 ${sha256} and ${onnx.byteLength} bytes; its manifest says ` +
        `${manifest.sha256} and ${manifest.sizeBytes}.`,
    )
  }
  return { manifest, onnx }
}

/** @throws ServiceError as {@link loadModel}, save `ModelCorrupt` */
export async function loadManifest(directory: string): Promise<ModelManifest> {
  const path = join(directory, 'manifest.json')
  const text = (await readModelFile(path)).toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ServiceError('invalid-argument', 'ModelManifestInvalid', `${path} is not JSON.`, {
      cause,
    })
  }
  return parseManifest(value, path)
}

async function readModelFile(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw new ServiceError('not-found', 'ModelNotFound', `There is no model file ${path}.`, {
      cause,
    })
  }
}
