import { createEvents, type Events } from '../../src/observe/events.ts'
import { silentLog } from '../../src/observe/log.ts'
import { createMetrics } from '../../src/observe/metrics.ts'
import { Recorder } from './recorder.ts'

export type ObservedEvent = {
  readonly name: keyof Events
  readonly fields: Readonly<Record<string, unknown>>
}

/** Real events and metrics; every event is recorded too, so that a test can wait for it. */
export function createObserved() {
  const metrics = createMetrics()
  const recorder = new Recorder<ObservedEvent>()
  const events = createEvents(silentLog, metrics)
  const recording = Object.fromEntries(
    Object.entries(events).map(([name, report]) => [
      name,
      (fields: never) => {
        report(fields)
        recorder.push({ name: name as keyof Events, fields })
      },
    ]),
  ) as Events
  return { metrics, events: recording, log: silentLog, recorder }
}
