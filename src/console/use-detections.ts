import { useEffect, useState } from 'react'
import { getDetections, type ApiError } from './api.ts'
import type { DetectionRecord } from './api-types.ts'
import { mergeRecords } from './sightings.ts'
import { usePolling } from './use-polling.ts'

/** Kept in the page: ten minutes of one camera at 5 results a second. */
const KEPT_RECORDS = 3_000
/** Per answer; enough for the seconds that pass between two, and for a first list. */
const ASKED_RECORDS = 200

/** The latest detection records of a stream, newest first, kept up to date. */
export function useLiveDetections(streamName: string): {
  readonly records: readonly DetectionRecord[]
  readonly isLoaded: boolean
  readonly error: ApiError | null
} {
  const { data, error } = usePolling(`detections/${streamName}`, 1_000, (signal) =>
    getDetections({ stream: streamName, limit: ASKED_RECORDS }, signal),
  )
  const [kept, setKept] = useState<Kept>({ streamName, records: [] })
  useEffect(() => {
    if (data === null) return
    setKept((before) => {
      const known = before.streamName === streamName ? before.records : []
      const records = mergeRecords(known, data, KEPT_RECORDS)
      return records === before.records ? before : { streamName, records }
    })
  }, [data, streamName])
  const records = kept.streamName === streamName ? kept.records : []
  return { records, isLoaded: data !== null, error }
}

type Kept = { readonly streamName: string; readonly records: readonly DetectionRecord[] }

/** The records of a past range, asked for once. */
export function useArchivedDetections(
  streamName: string,
  range: { readonly fromMs: number; readonly toMs: number } | null,
): readonly DetectionRecord[] {
  const [records, setRecords] = useState<readonly DetectionRecord[]>([])
  const fromMs = range?.fromMs ?? null
  const toMs = range?.toMs ?? null
  useEffect(() => {
    setRecords([])
    if (fromMs === null || toMs === null) return undefined
    const ended = new AbortController()
    getDetections({ stream: streamName, limit: 1_000, from: fromMs, to: toMs }, ended.signal).then(
      setRecords,
      () => undefined, // the video plays without boxes; the live list reports the problem
    )
    return () => ended.abort()
  }, [streamName, fromMs, toMs])
  return records
}
