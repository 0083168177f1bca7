import { ServiceError } from '../../src/domain/errors.ts'

/** Mutated inputs from a fixed seed: the same every time, so that a crasher can be found again. */
export function* mutations(
  seeds: readonly Uint8Array[],
  count: number,
  seed = 0x6b696e6f,
): Generator<Uint8Array> {
  const random = createRandom(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  for (let i = 0; i < count; i++) {
    const bytes = Uint8Array.from(seeds[below(seeds.length)]!)
    for (let edits = 1 + below(4); edits > 0 && bytes.length > 0; edits--) {
      const at = below(bytes.length)
      const edit = below(4)
      if (edit === 0) bytes[at] = below(256)
      else if (edit === 1) bytes[at]! ^= 1 << below(8)
      else if (edit === 2) bytes[at] = [0, 1, 0x7f, 0x80, 0xff][below(5)]!
      else bytes.copyWithin(at, below(bytes.length))
    }
    yield below(3) === 0 ? bytes.subarray(0, below(bytes.length + 1)) : bytes
  }
}

/** mulberry32: 0 <= value < 1. */
export function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

/** Cases per parser: few by default, TEST_FUZZ_CASES=100000 for a full run. */
export const FUZZ_CASES = Number(process.env.TEST_FUZZ_CASES ?? 4_000)

/**
 * Mutations of the seeds, and the seeds cut at every byte: each must come to a result or to an error
 * of the peer's making. Answers how many came to a result, so that a test can tell that it tests.
 */
export function expectSurvives(
  seeds: readonly Uint8Array[],
  parse: (bytes: Uint8Array) => unknown,
): number {
  let results = 0
  const attempt = (bytes: Uint8Array) => {
    try {
      parse(bytes)
      results++
    } catch (error) {
      const expected = error instanceof ServiceError && error.kind === 'malformed-media'
      if (!expected)
        throw new Error(`fails on ${Buffer.from(bytes).toString('hex')}`, { cause: error })
    }
  }
  for (const seed of seeds) for (let at = 0; at <= seed.length; at++) attempt(seed.subarray(0, at))
  for (const bytes of mutations(seeds, FUZZ_CASES)) attempt(bytes)
  return results
}
