import { describe, expect, test } from 'vitest'
import { MalformedMediaError } from '../../../src/domain/errors.ts'
import {
  parseAudioSpecificConfig,
  toAacCodecString,
} from '../../../src/media/aac/audio-specific-config.ts'
import { hex, mutations } from '../../support/fuzz.ts'

describe('parseAudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1)', () => {
  test.each([
    // By FFmpeg's AAC encoder.
    ['LC 44.1 kHz stereo', '121056e500', 2, 44_100, 2, 'mp4a.40.2'],
    ['LC 22.05 kHz stereo', '139056e500', 2, 22_050, 2, 'mp4a.40.2'],
    ['LC 7350 Hz stereo', '161056e500', 2, 7_350, 2, 'mp4a.40.2'],
    ['LC 48 kHz 5.1', '11b056e500', 2, 48_000, 6, 'mp4a.40.2'],
    // By hand, from the syntax.
    ['explicit SBR', '2b11 88', 5, 24_000, 2, 'mp4a.40.5'],
    ['a rate that is spelled out', '1780 3e84 90', 2, 32_009, 2, 'mp4a.40.2'],
    ['7.1 is configuration 7', '11b8', 2, 48_000, 8, 'mp4a.40.2'],
    ['an escaped object type', 'f94e 40', 42, 22_050, 2, 'mp4a.40.42'],
  ])('%s', (_rule, record, objectType, sampleRateHz, channels, codec) => {
    const config = parseAudioSpecificConfig(hex(record))

    expect(config).toEqual({ objectType, sampleRateHz, channels })
    expect(toAacCodecString(config)).toBe(codec)
  })

  test.each([
    ['nothing', ''],
    ['one byte', '12'],
    ['a reserved rate', '1690'],
    ['object type 0', '0210'],
    ['a cut escape', '1780'],
  ])('refuses %s', (_rule, record) => {
    expect(() => parseAudioSpecificConfig(hex(record))).toThrow(MalformedMediaError)
  })

  test('answers mutated records with values in range or with an error of its own', () => {
    const seeds = ['121056e500', '2b1188', '17803e8490', 'f94e40'].map(hex)
    for (const bytes of mutations(seeds, 20_000)) {
      try {
        const config = parseAudioSpecificConfig(bytes)
        expect(config.sampleRateHz).toBeGreaterThan(0)
        expect(config.channels).toBeLessThanOrEqual(24)
      } catch (error) {
        if (!(error instanceof MalformedMediaError)) throw error
      }
    }
  })
})
