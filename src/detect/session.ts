import { InferenceSession, Tensor } from 'onnxruntime-node'
import { ServiceError } from '../domain/errors.ts'
import { refuseOnnxTelemetry } from './onnx-telemetry.ts'

/** A model's output: row-major floats. */
export type OutputTensor = { readonly dims: readonly number[]; readonly data: Float32Array }
export type Outputs = Readonly<Record<string, OutputTensor>>

/**
 * One model in ONNX Runtime on one thread; the only door to onnxruntime-node. `run` computes
 * synchronously in spite of its promise: for worker threads only.
 */
export class ModelSession implements AsyncDisposable {
  readonly #session: InferenceSession
  readonly #inputName: string

  private constructor(session: InferenceSession, inputName: string) {
    this.#session = session
    this.#inputName = inputName
  }

  /** @throws ServiceError `data-loss`/`ModelCorrupt` when the bytes are no usable model */
  static async open(onnx: Uint8Array, inputName: string): Promise<ModelSession> {
    refuseOnnxTelemetry() // for who uses it on the main thread
    let session: InferenceSession
    try {
      // A second thread per session costs twice the CPU for little time; streams scale by workers.
      session = await InferenceSession.create(onnx, {
        executionProviders: ['cpu'],
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
        executionMode: 'sequential',
        logSeverityLevel: 3,
      })
    } catch (cause) {
      throw new ServiceError('data-loss', 'ModelCorrupt', 'ONNX Runtime refuses the model.', {
        cause,
      })
    }
    if (!session.inputNames.includes(inputName)) {
      const names = session.inputNames.join(', ')
      await session.release()
      throw new ServiceError(
        'invalid-argument',
        'ModelManifestInvalid',
        `The model has no input ${JSON.stringify(inputName)}, only ${names}.`,
      )
    }
    return new ModelSession(session, inputName)
  }

  /** @param input row-major floats; read before the promise resolves, kept by nobody */
  async run(input: Float32Array, dims: readonly number[]): Promise<Outputs> {
    const feeds = { [this.#inputName]: new Tensor('float32', input, dims) }
    const results = await this.#session.run(feeds)
    const outputs: Record<string, OutputTensor> = {}
    for (const [name, tensor] of Object.entries(results)) {
      outputs[name] = { dims: tensor.dims, data: tensor.data as Float32Array }
    }
    return outputs
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.release()
  }
}
