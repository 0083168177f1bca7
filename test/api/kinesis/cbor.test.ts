import { describe, expect, test } from 'vitest'
import { cbor } from '@smithy/core/cbor'
import { CborTime, decodeCbor, encodeCbor } from '../../../src/api/aws/cbor.ts'
import { runKinesisApi } from './running-api.ts'
import { call, CBOR_TYPE } from './signed-call.ts'

const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex')

describe('decoding', () => {
  // RFC 8949, Appendix A.
  test.each([
    { hex: '00', value: 0 },
    { hex: '17', value: 23 },
    { hex: '18 64', value: 100 },
    { hex: '19 03e8', value: 1000 },
    { hex: '1a 000f4240', value: 1_000_000 },
    { hex: '1b 000000e8d4a51000', value: 1_000_000_000_000 },
    { hex: '20', value: -1 },
    { hex: '39 03e7', value: -1000 },
    { hex: 'f9 3c00', value: 1 },
    { hex: 'f9 0001', value: 5.960464477539063e-8 },
    { hex: 'fa 47c35000', value: 100_000 },
    { hex: 'fb 3ff199999999999a', value: 1.1 },
    { hex: 'f4', value: false },
    { hex: 'f5', value: true },
    { hex: 'f6', value: null },
    { hex: '40', value: Buffer.alloc(0) },
    { hex: '44 01020304', value: bytes('01020304') },
    { hex: '62 c3bc', value: 'ü' },
    { hex: '83 010203', value: [1, 2, 3] },
    { hex: 'a2 6161 01 6162 820203', value: { a: 1, b: [2, 3] } },
    { hex: '5f 42 0102 43 030405 ff', value: bytes('0102030405') },
    { hex: '7f 65 7374726561 64 6d696e67 ff', value: 'streaming' },
    { hex: '9f 01 8202 03 9f 04 05 ff ff', value: [1, [2, 3], [4, 5]] },
    { hex: 'bf 6161 01 6162 9f0203ff ff', value: { a: 1, b: [2, 3] } },
    { hex: 'c1 1b 0000018bcfe56800', value: new CborTime(1_700_000_000_000) },
    { hex: 'c1 fb 4278bcfe56800000', value: new CborTime(1_700_000_000_000) },
    { hex: 'd9 d9f7 01', value: 1 },
  ])('$hex', ({ hex, value }) => {
    expect(decodeCbor(bytes(hex))).toEqual(value)
  })

  test.each([
    { rule: 'nothing', hex: '' },
    { rule: 'more than one document', hex: '01 01' },
    { rule: 'a length beyond the end', hex: '5b 7fffffffffffffff 00' },
    { rule: 'an array that promises more than there is', hex: '9a ffffffff 00' },
    { rule: 'a map that promises more than there is', hex: 'ba ffffffff 00' },
    { rule: 'a break on its own', hex: 'ff' },
    { rule: 'a break in an array of known length', hex: '82 01 ff' },
    { rule: 'a break for a value', hex: 'bf 6161 ff' },
    { rule: 'a key that is a number', hex: 'a1 01 02' },
    { rule: 'an indefinite string of another type', hex: '5f 61 61 ff' },
    { rule: 'an indefinite string in an indefinite string', hex: '5f 5f 41 00 ff ff' },
    { rule: 'reserved lengths', hex: '1c' },
    { rule: 'a time that is text', hex: 'c1 61 61' },
    { rule: 'no end', hex: '9f 01' },
    { rule: 'nesting without end', hex: '81'.repeat(100_000) },
  ])('refuses $rule', ({ hex }) => {
    expect(() => decodeCbor(bytes(hex))).toThrow(RangeError)
  })

  test('every cut of a document is refused', () => {
    const whole = encodeCbor({ a: [1, 'text', new Uint8Array(300)], b: { c: new CborTime(5) } })

    for (let end = 0; end < whole.length; end++) {
      expect(() => decodeCbor(whole.subarray(0, end))).toThrow(RangeError)
    }
  })

  test('random bytes end in a value or a RangeError', () => {
    let seed = 1
    for (let round = 0; round < 5000; round++) {
      const noise = Buffer.alloc(1 + (round % 40))
      for (let i = 0; i < noise.length; i++) {
        seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
        noise[i] = seed >> 16
      }
      try {
        decodeCbor(noise)
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError)
      }
    }
  })
})

test('what is written is read by another implementation, and the other way round', () => {
  const value = {
    text: 'ключ 🔑',
    long: 'x'.repeat(70_000),
    numbers: [0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 40, -1, -25, -70_000],
    fractions: [1.5, -0.1],
    flags: [true, false, null],
    blob: Uint8Array.from({ length: 300 }, (_, i) => i),
    empty: {},
    nested: { list: [] },
  }

  const theirs: unknown = cbor.deserialize(encodeCbor({ ...value, absent: undefined }))
  const ours = decodeCbor(Buffer.from(cbor.serialize(value)))

  expect({ ...(theirs as object), blob: null }).toEqual({ ...value, blob: null })
  expect(Buffer.compare((theirs as typeof value).blob, value.blob)).toBe(0)
  expect({ ...(ours as object), blob: null }).toEqual({ ...value, blob: null })
})

describe('the protocol', () => {
  test('answers in CBOR with blobs as bytes and times in milliseconds under tag 1', async () => {
    const api = await runKinesisApi()
    const send = async (operation: string, input: Parameters<typeof encodeCbor>[0]) => {
      const answer = await call(api, operation, encodeCbor(input), { type: CBOR_TYPE })
      expect(answer.headers.get('content-type')).toBe(CBOR_TYPE)
      return answer.bytes.length === 0 ? null : (decodeCbor(answer.bytes) as never)
    }
    expect(await send('CreateStream', { StreamName: 's', ShardCount: 1 })).toBeNull()
    const Data = Buffer.from([0, 255])
    await send('PutRecords', { StreamName: 's', Records: [{ Data, PartitionKey: 'k' }] })
    const shard = { StreamName: 's', ShardId: 'shardId-000000000000' }

    for (const time of [api.clock.now(), api.clock.now() - 0.5]) {
      const iterator = await send('GetShardIterator', {
        ...shard,
        ShardIteratorType: 'AT_TIMESTAMP',
        Timestamp: new CborTime(time),
      })
      expect(await send('GetRecords', iterator)).toMatchObject({
        Records: [
          { Data, PartitionKey: 'k', ApproximateArrivalTimestamp: new CborTime(api.clock.now()) },
        ],
        MillisBehindLatest: 0,
      })
    }
  })

  test('errors are CBOR too', async () => {
    const api = await runKinesisApi()
    const missing = await call(api, 'DescribeStream', encodeCbor({ StreamName: 'x' }), {
      type: CBOR_TYPE,
    })
    const wrong = await call(api, 'DescribeStream', encodeCbor({ StreamName: 5 }), {
      type: CBOR_TYPE,
    })
    const broken = await call(api, 'DescribeStream', Buffer.from('bf', 'hex'), { type: CBOR_TYPE })

    expect([missing.status, decodeCbor(missing.bytes)]).toEqual([
      400,
      {
        __type: 'ResourceNotFoundException',
        message: 'Stream x under account 000000000000 not found.',
      },
    ])
    expect(decodeCbor(wrong.bytes)).toMatchObject({
      __type: 'SerializationException',
      Message: 'NUMBER_VALUE can not be converted to a String',
    })
    expect([broken.status, decodeCbor(broken.bytes)]).toMatchObject([
      400,
      { __type: 'SerializationException' },
    ])
  })

  test('JSON and CBOR answers to the same call carry the same', async () => {
    const api = await runKinesisApi()
    await api.dataStreams.create({ name: 's', shardCount: 3, tags: { a: 'b' } })
    await api.dataStreams.scale('s', 4)
    await api.dataStreams.put(
      's',
      Array.from({ length: 20 }, (_, i) => ({
        data: Buffer.from(`r${i}`),
        partitionKey: `k${i}`,
      })),
    )
    for (const [operation, input] of [
      ['ListStreams', {}],
      ['DescribeStream', { StreamName: 's' }],
      ['DescribeStreamSummary', { StreamName: 's' }],
      ['ListShards', { StreamName: 's' }],
      ['ListTagsForStream', { StreamName: 's' }],
      ['DescribeStream', { StreamName: 'none' }],
      ['SplitShard', { StreamName: 's' }],
    ] as const) {
      const json = await call(api, operation, input)
      const binary = await call(api, operation, encodeCbor(input), { type: CBOR_TYPE })

      expect(binary.status).toBe(json.status)
      expect(toJson(decodeCbor(binary.bytes))).toEqual(JSON.parse(json.text))
    }
  })
})

function toJson(value: unknown): unknown {
  if (value instanceof CborTime) return value.epochMs / 1000
  if (Buffer.isBuffer(value)) return value.toString('base64')
  if (Array.isArray(value)) return value.map(toJson)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, toJson(each)]))
}
