import { describe, expect, test } from 'vitest'
import {
  planSample,
  type OpenFragmentSituation,
  type SampleSituation,
} from '../../src/ingest/fragment-plan.ts'

const open: OpenFragmentSituation = {
  ageMs: 500,
  startsWithKey: true,
  describesTrack: true,
  describesAll: true,
}
const key = { isVideo: true, isKey: true }
const inter = { isVideo: true, isKey: false }
const audio = { isVideo: false, isKey: true }

type Row = readonly [
  rule: string,
  situation: Partial<SampleSituation>,
  plan: ReturnType<typeof planSample>,
]

describe('planSample', () => {
  test.each<Row>([
    ['the first key sample begins', { ...key, open: null }, 'begin'],
    ['nothing begins with an inter sample', { ...inter, open: null }, 'drop'],
    ['audio before the first key sample is held', { ...audio, open: null }, 'hold'],
    ['a young fragment takes a key sample', { ...key, open }, 'append'],
    ['a key sample at the target begins', { ...key, open: { ...open, ageMs: 2000 } }, 'begin'],
    ['a GOP that is short by rounding counts', { ...key, open: { ...open, ageMs: 1995 } }, 'begin'],
    ['a GOP that is shorter does not', { ...key, open: { ...open, ageMs: 1994 } }, 'append'],
    [
      'an inter sample goes on past the target',
      { ...inter, open: { ...open, ageMs: 9999 } },
      'append',
    ],
    ['a GOP at the limit is split', { ...inter, open: { ...open, ageMs: 20_000 } }, 'begin'],
    ['a GOP under the limit is not', { ...inter, open: { ...open, ageMs: 19_999 } }, 'append'],
    [
      'audio splits at the limit, when video stalls',
      { ...audio, open: { ...open, ageMs: 20_000 } },
      'begin',
    ],
    [
      'the first key sample ends a split GOP',
      { ...key, open: { ...open, startsWithKey: false } },
      'begin',
    ],
    [
      'a new track begins at a key sample',
      { ...key, open: { ...open, describesAll: false } },
      'begin',
    ],
    [
      'samples of a new track are held until then',
      { ...audio, open: { ...open, describesTrack: false, describesAll: false } },
      'hold',
    ],
    [
      'or until the limit',
      { ...audio, open: { ...open, describesTrack: false, describesAll: false, ageMs: 20_000 } },
      'begin',
    ],
    [
      'inter samples after new parameter sets are of no use',
      { ...inter, open: { ...open, describesTrack: false, describesAll: false } },
      'drop',
    ],
    [
      'after a jump it goes on with an inter sample',
      { ...inter, open: null, resumeAnywhere: true },
      'begin',
    ],
    [
      'without a key sample for the limit it begins anyway',
      { ...inter, open: null, waitedMs: 20_000 },
      'begin',
    ],
    ['but not before', { ...inter, open: null, waitedMs: 19_999 }, 'drop'],
    ['audio too, when no video comes', { ...audio, open: null, waitedMs: 20_000 }, 'begin'],
    ['after a jump audio waits for video', { ...audio, open: null, resumeAnywhere: true }, 'hold'],
    ['audio only: any sample begins', { ...audio, sessionHasVideo: false, open: null }, 'begin'],
    [
      'audio only: cut by time',
      { ...audio, sessionHasVideo: false, open: { ...open, ageMs: 2000 } },
      'begin',
    ],
    ['audio only: not before', { ...audio, sessionHasVideo: false, open }, 'append'],
  ])('%s', (_rule, situation, plan) => {
    const defaults: SampleSituation = {
      ...key,
      sessionHasVideo: true,
      open: null,
      resumeAnywhere: false,
      waitedMs: 0,
      fragmentTargetMs: 2000,
      maxFragmentMs: 20_000,
    }
    expect(planSample({ ...defaults, ...situation })).toBe(plan)
  })
})
