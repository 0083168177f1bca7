import { ServiceError } from '../../domain/errors.ts'
import { jsonCodec, type Codec } from '../aws/codec.ts'
import { checkInput, readInput, serializationError } from '../aws/input-schema.ts'
import type { Operation } from './operation.ts'
import { operations } from './operations.ts'
import type { RequestMemory } from './request-memory.ts'

/** A body that parses, of a known operation. */
export type ReadRequest = {
  readonly operation: Operation
  /** @throws `invalid-argument`/`SerializationException` or `ValidationException` */
  readonly input: () => unknown
}

/**
 * The checks before the signature: docs/ref/kinesis.md, "Order of checks".
 *
 * @param memory what the input may lie in
 * @throws `invalid-argument`/`SerializationException` or `UnknownOperationException`
 */
export function readRequest(
  name: string,
  body: Buffer,
  codec: Codec,
  memory: RequestMemory,
): ReadRequest {
  const known = operations.get(name)
  const take = (byteLength: number) => memory.take(byteLength)
  const scanned = codec === jsonCodec ? (known?.scan?.(body, take) ?? null) : null
  if (known !== undefined && scanned !== null) {
    return { operation: known, input: () => checkInput(known.input, scanned) }
  }
  const raw = parse(body, codec)
  if (known === undefined) throw unknownOperation(name)
  return { operation: known, input: () => readInput(known.input, raw, codec) }
}

function parse(body: Buffer, codec: Codec): unknown {
  try {
    return codec.parse(body)
  } catch (cause) {
    throw serializationError((cause as Error).message)
  }
}

function unknownOperation(name: string): ServiceError {
  return new ServiceError(
    'invalid-argument',
    'UnknownOperationException',
    `The operation ${name.slice(0, 64)} is not known or not offered by this server.`,
  )
}
