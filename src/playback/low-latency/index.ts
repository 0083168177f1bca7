export {
  createLowLatencyHls,
  type LowLatencyHls,
  type LowLatencyOptions,
  type LowLatencyRequest,
  type PartPosition,
} from './low-latency.ts'
