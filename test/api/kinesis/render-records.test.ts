import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { cborCodec, jsonCodec } from '../../../src/api/aws/codec.ts'
import { toRecordMember } from '../../../src/api/kinesis/record-output.ts'
import { renderRecords, SharedRecords } from '../../../src/api/kinesis/render-records.ts'
import { epochMs } from '../../../src/domain/time.ts'

const KEYS = [
  'k',
  '',
  'with "quotes" and \\',
  'ä\u{1f4f7}\ud800',
  '\n\u0000\u007f',
  'x'.repeat(256),
]
const records = KEYS.map((partitionKey, i) => ({
  sequenceNumber: '2'.repeat(56),
  partitionKey,
  data: randomBytes(i * 7),
  arrivedAt: epochMs(1_763_629_443_000 + i),
  ...(i % 2 === 1 && { isEncrypted: true }),
}))

test.each([
  { rule: 'records and other members', these: records, others: { MillisBehindLatest: 0 } },
  { rule: 'no records', these: [], others: { MillisBehindLatest: 7, NextShardIterator: 'a"b' } },
  { rule: 'nothing else', these: records.slice(0, 1), others: {} },
  {
    rule: 'keys that all have to be escaped',
    these: [{ ...records[0]!, partitionKey: '\u0000'.repeat(256) }],
    others: {},
  },
])('$rule are written as the codecs write them', ({ these, others }) => {
  for (const codec of [jsonCodec, cborCodec]) {
    const members = these.map((record) => toRecordMember(record, codec))

    const rendered = renderRecords(these, others, codec)

    expect(rendered.equals(codec.render({ Records: members, ...others }))).toBe(true)
  }
})

test("a list that many are given is rendered once, with what is each one's own around it", () => {
  const shared = new SharedRecords()

  for (const codec of [jsonCodec, cborCodec]) {
    for (const others of [{ MillisBehindLatest: 0 }, { MillisBehindLatest: 5 }, {}]) {
      const expected = renderRecords(records, others, codec)

      expect(shared.render(records, others, codec).equals(expected)).toBe(true)
    }
  }
})
