import { describe, expect, test } from 'vitest'
import { transcodeSound } from '../../../src/playback/audio/transcode-sound.ts'
import { AAC_FRAME_TICKS, type SoundBlock } from '../../../src/playback/audio/sound-call.ts'
import { decodeAac, errors, packets, tone, voice, type Waveform } from './sound-fixture.ts'

const source = {
  decoder: 'pcm_mulaw',
  sampleRateHz: 8000,
  channels: 1,
  bitsPerCodedSample: 8,
  extradata: new Uint8Array(0),
}
const RATE = 16_000
const START = 1_700_000_000_123
const WINDOW = RATE / 250

/** Twenty fragments of 1 to 1.6 s; each made from itself and the one before it. */
function transcodeAll(waveform: Waveform, startOf: (startMs: number) => number) {
  const fragments: (readonly SoundBlock[])[] = []
  let at = START
  for (let i = 0; i < 20; i++) {
    const count = 50 + ((i * 7) % 30)
    const exact = packets(waveform, { startMs: at, count })
    const shift = startOf(at) - at
    fragments.push(exact.map(({ ptsMs, data }) => ({ ptsMs: ptsMs + shift, data })))
    at += count * 20
  }
  return fragments.map((fragment, i) =>
    transcodeSound({
      source,
      sampleRateHz: RATE,
      fragments: i === 0 ? [fragment] : [fragments[i - 1]!, fragment],
    }),
  )
}

/** Errors where fragments meet, and everywhere else; 0.3 s at the start are left out. */
function compare(sounds: ReturnType<typeof transcodeAll>, waveform: Waveform) {
  const base = sounds[0]!.baseDecodeTime
  const heard = decodeAac(
    sounds.flatMap(({ blocks }) => blocks),
    RATE,
  )
  const all = errors(heard, (i) => waveform((base + i) / RATE), WINDOW)
  const seams = new Set(
    sounds.slice(1).flatMap(({ baseDecodeTime }) => {
      const at = Math.round((baseDecodeTime - base) / WINDOW)
      return Array.from({ length: 64 }, (_, k) => at + k - 32)
    }),
  )
  const within = (isSeam: boolean) => all.filter((_, i) => i > 75 && seams.has(i) === isSeam)
  return { seams: Math.max(...within(true)), elsewhere: Math.max(...within(false)) }
}

describe('G.711 over twenty fragments', () => {
  test.each([
    { rule: 'a voice', waveform: voice, worst: 0.03 },
    { rule: 'a tone', waveform: tone, worst: 0.09 },
  ])('is heard as it was, and no seam is heard: $rule', ({ waveform, worst }) => {
    const sounds = transcodeAll(waveform, (startMs) => startMs)

    const { seams, elsewhere } = compare(sounds, waveform)
    expect(elsewhere).toBeLessThan(worst)
    expect(seams).toBeLessThan(elsewhere * 1.1)
  })

  test('has blocks without a hole from first to last, on the grid', () => {
    const sounds = transcodeAll(voice, (startMs) => startMs)

    let next = sounds[0]!.baseDecodeTime
    expect(next).toBe(Math.floor((START * RATE) / 1000 / AAC_FRAME_TICKS) * AAC_FRAME_TICKS)
    for (const { baseDecodeTime, blocks } of sounds) {
      expect(baseDecodeTime).toBe(next)
      next += blocks.length * AAC_FRAME_TICKS
    }
    const endTick = ((START + 20 * 1290) * RATE) / 1000
    expect(Math.abs(endTick - next)).toBeLessThan(RATE) // fragments last 1.29 s on average
  })

  test('a clock that is corrected by a millisecond makes no click', () => {
    let corrections = 0
    const sounds = transcodeAll(tone, (startMs) => startMs + (corrections++ % 2))

    // Of a pure tone a millisecond is much: what counts is that it is no worse at a seam.
    const heard = decodeAac(
      sounds.flatMap(({ blocks }) => blocks),
      RATE,
    ).subarray(RATE)
    const jumps = heard.map((value, i) => Math.abs(value - (heard[i - 1] ?? value)))
    expect(jumps.reduce((a, b) => Math.max(a, b))).toBeLessThan(
      0.5 * ((2 * Math.PI * 440) / RATE) * 1.35,
    )
    expect(
      sounds.slice(1).every((sound, i) => {
        const before = sounds[i]!
        return (
          sound.baseDecodeTime === before.baseDecodeTime + before.blocks.length * AAC_FRAME_TICKS
        )
      }),
    ).toBe(true)
  })

  test('gives the same bytes whenever it is asked', () => {
    const [first, second] = [
      packets(voice, { startMs: START, count: 60 }),
      packets(voice, { startMs: START + 1200, count: 60 }),
    ]
    const call = { source, sampleRateHz: RATE, fragments: [first, second] }

    expect(transcodeSound(call)).toEqual(transcodeSound(call))
  })
})

describe('what is lost', () => {
  test('is silent for as long as it was, and the rest stays in its place', () => {
    const all = packets(tone, { startMs: START, count: 100 })
    const blocks = all.filter((_, i) => i < 40 || i >= 55) // 300 ms

    const { baseDecodeTime, blocks: aac } = transcodeSound({
      source,
      sampleRateHz: RATE,
      fragments: [blocks],
    })

    const heard = decodeAac(aac, RATE)
    const at = (ms: number) => ((START + ms) * RATE) / 1000 - baseDecodeTime
    const level = (fromMs: number, toMs: number) =>
      Math.max(...heard.subarray(at(fromMs), at(toMs)).map(Math.abs))
    expect(level(880, 1020)).toBeLessThan(0.05)
    expect(level(300, 700)).toBeGreaterThan(0.4)
    const behind = errors(
      heard.subarray(at(1200), at(1500)),
      (i) => tone((baseDecodeTime + at(1200) + i) / RATE),
      WINDOW,
    )
    expect(Math.max(...behind)).toBeLessThan(0.1)
  })

  test('before a fragment begins it anew', () => {
    const before = packets(tone, { startMs: START, count: 50 })
    const after = packets(tone, { startMs: START + 5000, count: 50 })

    const { baseDecodeTime } = transcodeSound({
      source,
      sampleRateHz: RATE,
      fragments: [before, after],
    })

    const startTick = ((START + 5000) * RATE) / 1000
    expect(startTick - baseDecodeTime).toBeGreaterThanOrEqual(0)
    expect(startTick - baseDecodeTime).toBeLessThan(AAC_FRAME_TICKS)
  })

  test('a fragment that is too short for a block has none, and the next has them', () => {
    const fragments = [50, 4, 50].map((count, i) =>
      packets(tone, { startMs: START + [0, 1000, 1080][i]!, count }),
    )
    const make = (count: number) =>
      transcodeSound({ source, sampleRateHz: RATE, fragments: fragments.slice(0, count) })
    const [first, second, third] = [make(1), make(2), make(3)]

    expect(second.blocks.length).toBeLessThan(3)
    const end = first.baseDecodeTime + first.blocks.length * AAC_FRAME_TICKS
    expect(second.baseDecodeTime).toBe(end)
    expect(third.baseDecodeTime).toBe(end + second.blocks.length * AAC_FRAME_TICKS)
  })
})

test('what no decoder understands is told', () => {
  const fragments = [[{ ptsMs: START, data: Uint8Array.of(1, 2, 3) }]]

  expect(() =>
    transcodeSound({ source: { ...source, decoder: 'flac' }, sampleRateHz: RATE, fragments }),
  ).toThrow(expect.objectContaining({ kind: 'malformed-media' }))
})
