import { describe, expect, test } from 'vitest'
import {
  findAv1PictureSize,
  parseAv1SequenceHeader,
  toAv1Record,
} from '../../../src/media/av1/av1-config.ts'
import { expectSurvives, hex } from '../../support/fuzz.ts'

/** av1C records by FFmpeg 5.1, of the encoders named. */
const RECORDS = {
  'libaom, 4:2:0 with ten bits': '81004c00 0a0b000000043d07c4daf94040',
  'librav1e, level 31': '811f4c00 0a0e000000fa1e83e2210ae8101010a0',
  'libaom, 4:4:4': '81200000 0a0a200000043d07c4daf902',
}

describe('AV1 sequence headers (AV1 Bitstream §5.5)', () => {
  test.each(Object.entries(RECORDS))('%s: the record is what FFmpeg writes', (_rule, text) => {
    const record = hex(text)
    const obu = record.subarray(4)
    const header = parseAv1SequenceHeader(obu.subarray(2))

    expect(header).toMatchObject({ widthPx: 322, heightPx: 242 })
    expect(Buffer.from(toAv1Record(header, obu))).toEqual(Buffer.from(record))
    expect(findAv1PictureSize(obu)).toEqual({ widthPx: 322, heightPx: 242 })
  })

  test('cut and damaged headers are errors or sizes', () => {
    const seeds = Object.values(RECORDS).map((text) => hex(text).subarray(6))

    expect(expectSurvives(seeds, parseAv1SequenceHeader)).toBeGreaterThan(100)
  })
})
