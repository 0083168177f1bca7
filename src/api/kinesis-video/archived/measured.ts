import type { Metrics } from '../../../observe/metrics.ts'
import type { StreamInfo } from '../../../registry/index.ts'

/** Times and counts a call until what it answers is known: a body may still have to be sent. */
export async function measured<T>(
  metrics: Metrics,
  operation: string,
  { name: stream }: Pick<StreamInfo, 'name'>,
  answer: () => Promise<T>,
): Promise<T> {
  const stopTimer = metrics.playbackCallSeconds.startTimer({ operation })
  try {
    const answered = await answer()
    metrics.playbackCalls.inc({ operation, stream, outcome: 'success' })
    return answered
  } catch (error) {
    metrics.playbackCalls.inc({ operation, stream, outcome: 'error' })
    throw error
  } finally {
    stopTimer()
  }
}
