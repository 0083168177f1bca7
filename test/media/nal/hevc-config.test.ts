import { describe, expect, test } from 'vitest'
import { MalformedMediaError } from '../../../src/domain/errors.ts'
import { parseHevcConfig, toHevcCodecString } from '../../../src/media/nal/hevc-config.ts'
import { hex, mutations } from '../../support/fuzz.ts'

/** Written by libx265 through FFmpeg 5.1 from its test source. */
const MAIN =
  '0101600000009000000000003cf000fcfdf8f800000f03a00001001840010c01ffff01600000030090000003000003003c959809a10001002b42010101600000030090000003000003003ca00a480f9c9265959a4932bc05a02000000300200000030321a2000100074401c172b46240'
const MAIN10 =
  '01022000000090000000000078f000fcfdfafa00000f03a00001001840010c01ffff022000000300900000030000030078959809a10001002c420101022000000300900000030000030078a003c08010e4d96566924caf016808000003000800000300c840a2000100074401c172b46240'

describe('parseHevcConfig (ISO/IEC 14496-15 §8.3.3.1, ITU-T H.265 §7.3.2.2.1)', () => {
  test.each([
    ['applies the conformance window', MAIN, 322, 242, 'hvc1.1.6.L60.90'],
    ['reads ten bits', MAIN10, 1920, 1080, 'hvc1.2.4.L120.90'],
  ])('%s', (_rule, record, widthPx, heightPx, codec) => {
    const config = parseHevcConfig(hex(record))

    expect(config.picture).toMatchObject({ widthPx, heightPx })
    expect(toHevcCodecString(config)).toBe(codec)
    expect(config.nalUnits.map((unit) => unit.type)).toEqual([32, 33, 34])
  })

  test('writes profile space, high tier and constraint bytes (ISO/IEC 14496-15 E.3)', () => {
    const config = { ...parseHevcConfig(hex(MAIN)), profileSpace: 1, tier: 'high' as const }
    const constraints = Uint8Array.of(0xb0, 0, 0x0a, 0, 0, 0)

    expect(toHevcCodecString({ ...config, constraints })).toBe('hvc1.A1.6.H60.B0.0.A')
  })

  test('refuses every record that is cut short', () => {
    const whole = hex(MAIN)
    for (let end = 0; end < whole.length; end++) {
      expect(() => parseHevcConfig(whole.subarray(0, end)), `${end}`).toThrow(MalformedMediaError)
    }
  })

  test('answers mutated records with a picture of sane size or with an error of its own', () => {
    let parsed = 0
    for (const bytes of mutations([hex(MAIN), hex(MAIN10)], 20_000)) {
      try {
        const { widthPx, heightPx } = parseHevcConfig(bytes).picture
        parsed++
        expect(widthPx > 0 && widthPx <= 16_384 && heightPx > 0 && heightPx <= 16_384).toBe(true)
      } catch (error) {
        if (!(error instanceof MalformedMediaError)) throw error
      }
    }
    expect(parsed).toBeGreaterThan(1000)
  })
})
