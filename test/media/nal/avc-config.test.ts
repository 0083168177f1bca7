import { describe, expect, test } from 'vitest'
import { MalformedMediaError } from '../../../src/domain/errors.ts'
import { parseAvcConfig, toAvcCodecString } from '../../../src/media/nal/avc-config.ts'
import { hex, mutations } from '../../support/fuzz.ts'

/** Written by libx264 through FFmpeg 5.1 from its test source, with the options named. */
const X264 = {
  main: '014d400dffe1001a674d400deca0a843c4446022000003000200000300781e28532c01000568ebe3cb20',
  baseline: '0142c00affe100176742c00ad90426c044000003000400000300c83c48992001000568cb83cb20',
  scaling:
    '01640028ffe1001967640028acd940780227e5c04400000fa40003a9803c60c65801000768ebe3cb3002c0fdf8f800',
  interlaced:
    '01640028ffe1001a67640028acd94078044fde0220000003002000000643e2c5b2c001000668fba3cb22c0fdf8f800',
  yuv422:
    '017a000dffe1001a677a000dbcd94151fe23c044000003000400000300c83c50a65801000668ebe3cb22c0fef8f800',
  yuv444:
    '01f4000dffe1001b67f4000d919b282a10f1d0860220000003002000000641e28532c001000668ebe3c44844fff8f800',
} as const

describe('parseAvcConfig (ISO/IEC 14496-15 §5.3.3.1, ITU-T H.264 §7.3.2.1.1)', () => {
  test.each([
    ['crops 4:2:0 in units of two', X264.main, 322, 242, 30, 'avc1.4D400D'],
    ['reads a profile without chroma fields', X264.baseline, 64, 64, 25, 'avc1.42C00A'],
    ['skips scaling matrices', X264.scaling, 1920, 1080, 30_000 / 1001, 'avc1.640028'],
    ['doubles the map units of field coding', X264.interlaced, 1920, 1080, 25, 'avc1.640028'],
    ['crops 4:2:2 by lines of one', X264.yuv422, 322, 240, 25, 'avc1.7A000D'],
    ['crops 4:4:4 in single samples', X264.yuv444, 323, 241, 25, 'avc1.F4000D'],
  ])('%s', (_rule, record, widthPx, heightPx, frameRate, codec) => {
    const config = parseAvcConfig(hex(record))

    expect(config.picture).toMatchObject({ widthPx, heightPx, frameRate })
    expect(toAvcCodecString(config)).toBe(codec)
    expect(config.nalLengthBytes).toBe(4)
    expect([config.sps.length, config.pps.length]).toEqual([1, 1])
  })

  test.each([
    ['an empty record', ''],
    ['another version', '004d400dffe1001a67'],
    ['a NAL length of three bytes', X264.main.replace('0dffe1', '0dfee1')],
    ['a record without SPS', '014d400dffe0000000'],
    ['an SPS longer than the record', X264.main.replace('e1001a', 'e1ffff')],
    ['an empty SPS', '014d400dffe1000001000568ebe3cb20'],
  ])('refuses %s', (_rule, record) => {
    expect(() => parseAvcConfig(hex(record))).toThrow(MalformedMediaError)
  })

  test('refuses every record that is cut before its PPS ends', () => {
    const whole = hex(X264.main)
    for (let end = 0; end < whole.length; end++) {
      expect(() => parseAvcConfig(whole.subarray(0, end)), `${end}`).toThrow(MalformedMediaError)
    }
  })

  test('answers mutated records with a picture of sane size or with an error of its own', () => {
    let parsed = 0
    for (const bytes of mutations(Object.values(X264).map(hex), 20_000)) {
      try {
        const { widthPx, heightPx } = parseAvcConfig(bytes).picture
        parsed++
        expect(widthPx > 0 && widthPx <= 16_384 && heightPx > 0 && heightPx <= 16_384).toBe(true)
      } catch (error) {
        if (!(error instanceof MalformedMediaError)) throw error
      }
    }
    expect(parsed).toBeGreaterThan(1000)
  })
})
