import { workerData } from 'node:worker_threads'
import { serveRequests } from '../platform/worker-requests.ts'
import { FragmentAnalyser } from './fragment-analyser.ts'
import { FrameDetector } from './frame-detector.ts'
import type { DetectorCall, DetectorWorkerData } from './detector-call.ts'
import type { FragmentDetections } from './detector.ts'

// Entry of a detector's worker thread: one model session, and one decoder per stream.

const { model, framesPerSecond, ...options } = workerData as DetectorWorkerData
const opened = FrameDetector.open(model, options).then(
  (detector) => new FragmentAnalyser(detector, framesPerSecond),
)
opened.catch(() => undefined) // told to whoever calls

serveRequests<DetectorCall, FragmentDetections | null>(
  async (call) => {
    const analyser = await opened
    return call.type === 'open' ? null : analyser.detect(call.fragment)
  },
  async () => {
    const analyser = await opened.catch(() => null)
    await analyser?.[Symbol.asyncDispose]()
  },
)
