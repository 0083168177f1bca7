import { ServiceError } from '../../domain/errors.ts'
import type { Outputs } from '../session.ts'

/**
 * An output's floats, when the model gives as many as its manifest promises.
 *
 * @throws ServiceError `invalid-argument`/`ModelManifestInvalid`
 */
export function requireOutput(outputs: Outputs, name: string, length: number): Float32Array {
  const output = outputs[name]
  if (output?.data.length === length) return output.data
  const found =
    output === undefined
      ? `has only ${Object.keys(outputs).join(', ')}`
      : `gives [${output.dims.join(', ')}]`
  throw new ServiceError(
    'invalid-argument',
    'ModelManifestInvalid',
    `The manifest expects ${length} values in output ${JSON.stringify(name)}; the model ${found}.`,
  )
}
