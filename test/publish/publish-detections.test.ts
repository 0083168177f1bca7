import { Value } from '@sinclair/typebox/value'
import { expect, test } from 'vitest'
import type { DataStreams, RecordToPut } from '../../src/datastream/index.ts'
import { toFragmentNumber } from '../../src/domain/fragment.ts'
import { epochMs } from '../../src/domain/time.ts'
import {
  detectionRecordSchema,
  publishDetections,
  toDetectionRecords,
  type DetectionRecord,
} from '../../src/publish/index.ts'

const T0 = 1_700_000_000_123
const fragment = {
  fragmentNumber: toFragmentNumber({ counter: 3, serverTimestamp: epochMs(T0), random28: 1 }),
  serverTimestamp: epochMs(T0),
}
const model = { name: 'yolox-nano', version: '1', sha256: 'a'.repeat(64) }
const box = { left: 0.123456789, top: 0, width: 1.0000001, height: 0.5 }

function frame(offsetMs: number, labels: readonly string[]) {
  return {
    fragmentNumber: fragment.fragmentNumber,
    frameTimestamp: epochMs(T0 + offsetMs),
    frame: { widthPx: 480, heightPx: 360 },
    detections: labels.map((label) => ({ label, score: 0.87654321, box })),
  }
}

test('one record per frame with detections, as the schema says', () => {
  const records = toDetectionRecords({
    streamName: 'front.door',
    fragment,
    model,
    frames: [frame(0, ['person', 'car']), frame(200, []), frame(400, ['person'])],
  })

  expect(records).toHaveLength(2)
  for (const record of records) expect([...Value.Errors(detectionRecordSchema, record)]).toEqual([])
  expect(records[0]).toEqual({
    type: 'kinora.detection',
    version: 1,
    id: `front.door/${fragment.fragmentNumber}/1700000000123/yolox-nano`,
    streamName: 'front.door',
    fragmentNumber: fragment.fragmentNumber,
    frameTimestamp: '2023-11-14T22:13:20.123Z',
    serverTimestamp: '2023-11-14T22:13:20.123Z',
    model,
    frame: { widthPx: 480, heightPx: 360 },
    detections: ['person', 'car'].map((label) => ({
      label,
      score: 0.87654,
      box: { left: 0.12346, top: 0, width: 1, height: 0.5 },
    })),
    imageUrl: '/streams/front.door/image.jpg?at=1700000000123',
  })
})

async function putsOf(records: readonly DetectionRecord[]) {
  const puts: (readonly RecordToPut[])[] = []
  const dataStreams: Pick<DataStreams, 'put'> = {
    put: async (_name, batch) => {
      puts.push(batch)
      return batch.map(({ data }) => ({ shardId: 's', sequenceNumber: String(data.byteLength) }))
    },
  }
  const results = await publishDetections({
    dataStreams: dataStreams as DataStreams,
    resultsStream: 'results',
    records,
  })
  return { puts, results }
}

const record = (id: number, bytes = 0) =>
  ({ id: String(id), streamName: 'cam', padding: 'x'.repeat(bytes) }) as unknown as DetectionRecord

test.each([
  { rule: 'nothing to put', records: [], sizes: [] },
  { rule: 'one call', records: Array.from({ length: 500 }, (_, i) => record(i)), sizes: [500] },
  {
    rule: 'at most 500 records',
    records: Array.from({ length: 1_001 }, (_, i) => record(i)),
    sizes: [500, 500, 1],
  },
  {
    rule: 'at most 5 MiB',
    records: Array.from({ length: 11 }, (_, i) => record(i, 1_000_000)),
    sizes: [5, 5, 1],
  },
])('puts in batches: $rule', async ({ records, sizes }) => {
  const { puts, results } = await putsOf(records)

  expect(puts.map((batch) => batch.length)).toEqual(sizes)
  expect(results).toHaveLength(records.length)
  const ids = puts
    .flat()
    .map(({ data }) => (JSON.parse(Buffer.from(data).toString()) as { id: string }).id)
  expect(ids).toEqual(records.map(({ id }) => id))
  expect(puts.flat().every(({ partitionKey }) => partitionKey === 'cam')).toBe(true)
})
