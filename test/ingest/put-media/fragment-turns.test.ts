import { describe, expect, test } from 'vitest'
import { FragmentTurns, type Turn } from '../../../src/ingest/put-media/fragment-turns.ts'

describe('turns at a stream', () => {
  test('the first to ask has it at once, and keeps it until its fragment ends', async () => {
    const { turns, turn, granted } = workplace()
    const [old, next] = [turn('old', 1), turn('next', 2)]

    expect([turns.take(old), turns.take(next), turns.take(old)]).toEqual([true, false, true])
    await settled()
    expect(granted).toEqual([])
    turns.giveBack(old)
    await settled()

    expect(granted).toEqual(['next'])
    expect(turns.take(next)).toBe(true)
  })

  test('the earliest fragment is next, also one of who just gave its turn back', async () => {
    const { turns, turn, granted } = workplace()
    const [old, late, later] = [turn('old', 1), turn('late', 3), turn('later', 4)]
    turns.take(old)
    turns.take(later)
    turns.take(late)
    turns.giveBack(old)
    expect(turns.take({ ...old, producerTimestamp: 2 })).toBe(false) // is asked for, not taken
    await settled()

    expect(granted).toEqual(['old'])
  })

  test('who leaves while it waits is not given it', async () => {
    const { turns, turn, granted } = workplace()
    const [old, gone, next] = [turn('old', 1), turn('gone', 2), turn('next', 3)]
    turns.take(old)
    turns.take(gone)
    turns.take(next)
    turns.giveBack(gone)
    turns.giveBack(old)
    await settled()

    expect(granted).toEqual(['next'])
  })

  test('only who has it while others wait is waited for', () => {
    const { turns, turn } = workplace()
    const [old, next] = [turn('old', 1), turn('next', 2)]
    turns.take(old)
    const before = turns.isWaitedFor(old)
    turns.take(next)

    expect([before, turns.isWaitedFor(old), turns.isWaitedFor(next)]).toEqual([false, true, false])
  })

  function workplace() {
    const granted: string[] = []
    const turn = (name: string, producerTimestamp: number): Turn => ({
      producerTimestamp,
      onGranted: () => granted.push(name),
    })
    return { turns: new FragmentTurns(), turn, granted }
  }

  const settled = () => new Promise<void>((resolve) => setImmediate(resolve))
})
