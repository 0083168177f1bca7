/**
 * ONNX Runtime since 1.30 keeps a device ID in the user's cache folder and sends usage data to its
 * maker unless this variable is set. Call it on the main thread before the first session: there
 * `process.env` is the process's own environment, in a worker thread it is a copy that the native
 * code does not see. Who wants it may set the variable to 0.
 */
export function refuseOnnxTelemetry(): void {
  process.env.ORT_DISABLE_TELEMETRY ??= '1'
}
