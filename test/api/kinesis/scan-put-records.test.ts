import { expect, test } from 'vitest'
import { jsonCodec } from '../../../src/api/aws/codec.ts'
import { putRecords } from '../../../src/api/kinesis/put-records.ts'
import { scanPutRecords } from '../../../src/api/kinesis/scan-put-records.ts'

const take = (byteLength: number) => Buffer.alloc(byteLength)
const scan = (text: string) => scanPutRecords(Buffer.from(text), take)
const general = (text: string) =>
  putRecords.input.read(jsonCodec.parse(Buffer.from(text)), jsonCodec)

test.each([
  {
    rule: 'as the JavaScript SDK writes it',
    body: '{"Records":[{"Data":"aGVsbG8=","PartitionKey":"k"}],"StreamName":"s"}',
  },
  {
    rule: 'as boto3 writes it',
    body: '{"StreamName": "s", "Records": [{"Data": "", "PartitionKey": "k"}, {"Data": "YQ==", "PartitionKey": "l"}]}',
  },
  {
    rule: 'all members, any order, any white space',
    body: '\n{ "StreamARN" :"arn:x"\t,"Records":[\r\n{"ExplicitHashKey":"0","PartitionKey":"\u00e4\u{1f4f7}","Data":"YWI="} ] } ',
  },
  { rule: 'no key', body: '{"StreamName":"s","Records":[{"Data":"YWJj"}]}' },
  {
    rule: 'the alphabet of URLs, as the general way takes it',
    body: '{"StreamName":"s","Records":[{"Data":"-_-_"}]}',
  },
])('scans $rule to what the general way reads', ({ body }) => {
  const scanned = scan(body)

  expect(scanned).not.toBeNull()
  expect(scanned).toEqual(general(body))
})

test.each([
  {
    rule: 'an escape in a key',
    body: '{"StreamName":"s","Records":[{"Data":"","PartitionKey":"\\n"}]}',
  },
  {
    rule: 'an escape in data',
    body: '{"StreamName":"s","Records":[{"Data":"YWJ\\u006a","PartitionKey":"k"}]}',
  },
  {
    rule: 'an escaped slash in data',
    body: '{"StreamName":"s","Records":[{"Data":"ab\\/d","PartitionKey":"k"}]}',
  },
  {
    rule: 'data that is no base64',
    body: '{"StreamName":"s","Records":[{"Data":"YW!j","PartitionKey":"k"}]}',
  },
  {
    rule: 'data without its padding',
    body: '{"StreamName":"s","Records":[{"Data":"YQ","PartitionKey":"k"}]}',
  },
  {
    rule: 'padding within data',
    body: '{"StreamName":"s","Records":[{"Data":"YQ==YQ==","PartitionKey":"k"}]}',
  },
  {
    rule: 'a member that comes twice',
    body: '{"StreamName":"s","StreamName":"t","Records":[{"Data":""}]}',
  },
  {
    rule: 'data that comes twice',
    body: '{"StreamName":"s","Records":[{"Data":"","Data":"YQ=="}]}',
  },
  { rule: 'another member', body: '{"StreamName":"s","DryRun":true,"Records":[{"Data":""}]}' },
  {
    rule: 'another member of a record',
    body: '{"StreamName":"s","Records":[{"Data":"","X":"y"}]}',
  },
  { rule: 'a number for a text', body: '{"StreamName":1,"Records":[{"Data":""}]}' },
  { rule: 'null', body: '{"StreamName":"s","Records":[{"Data":"","PartitionKey":null}]}' },
  { rule: 'a record without data', body: '{"StreamName":"s","Records":[{"PartitionKey":"k"}]}' },
  { rule: 'no records', body: '{"StreamName":"s","Records":[]}' },
  { rule: 'an empty record', body: '{"StreamName":"s","Records":[{}]}' },
  { rule: 'a comma too many', body: '{"StreamName":"s","Records":[{"Data":""},]}' },
  {
    rule: 'a control character in a text',
    body: '{"StreamName":"s\u0001","Records":[{"Data":""}]}',
  },
  { rule: 'something behind the end', body: '{"StreamName":"s","Records":[{"Data":""}]}x' },
  { rule: 'an end within data', body: '{"StreamName":"s","Records":[{"Data":"YWJj' },
  { rule: 'an end within a text', body: '{"StreamName":"s' },
  { rule: 'a byte order mark', body: '\ufeff{"StreamName":"s","Records":[{"Data":""}]}' },
  { rule: 'a list', body: '[]' },
  { rule: 'nothing', body: '' },
])('leaves $rule to the general way', ({ body }) => {
  expect(scan(body)).toBeNull()
})

test('whatever bytes it is given, it agrees with the general way or leaves them to it', () => {
  const body = Buffer.from(
    '{"StreamName": "s", "Records": [{"Data": "aGVsbG8=", "PartitionKey": "kä"}, {"Data": "", "ExplicitHashKey": "0"}]}',
  )
  let scannedAll = 0
  for (let at = 0; at < body.length; at++) {
    for (const byte of [0x00, 0x0a, 0x20, 0x22, 0x2c, 0x3d, 0x41, 0x5c, 0x5d, 0x7d, 0x80, 0xff]) {
      const changed = Buffer.from(body)
      changed[at] = byte

      const scanned = scanPutRecords(changed, take)

      if (scanned === null) continue
      scannedAll += 1
      expect(scanned).toEqual(putRecords.input.read(jsonCodec.parse(changed), jsonCodec))
    }
  }
  expect(scannedAll).toBeGreaterThan(50)
})
