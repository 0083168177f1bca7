import { expect, test } from 'vitest'
import { createKeyCommand, MasterKeys, openDataStreams } from '../../src/datastream/index.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { createObserved } from '../support/observed.ts'
import { scratchDirectory, scratchMetaStore, untilTestEnds } from '../support/scratch.ts'

/** A command that runs a script with the action in `action` and its input in `input`. */
function command(script: string): readonly string[] {
  const read = `let input = ''; process.stdin.on('data', (c) => (input += c)).on('end', () => {`
  return [process.execPath, '-e', `const action = process.argv[1]; ${read} ${script} })`]
}

/** Wraps by turning the digits around, and marks what it wrapped. */
const REVERSING = command(`
  const text = input.trim()
  console.log(action === 'wrap' ? 'w:' + [...text].reverse().join('') : [...text.slice(2)].reverse().join(''))
`)
const DATA_KEY = Buffer.from(Array.from({ length: 32 }, (_, i) => i))

test('a command wraps a data key and gives it back', async () => {
  const key = createKeyCommand(REVERSING)

  const wrapped = await key.wrap(DATA_KEY)

  expect(wrapped).toBe(`w:${[...DATA_KEY.toString('hex')].reverse().join('')}`)
  expect((await key.unwrap(wrapped)).equals(DATA_KEY)).toBe(true)
})

test.each([
  { rule: 'that is not there', argv: ['/nowhere/key-command'] },
  { rule: 'with a status', argv: command('console.log("x"); process.exit(3)') },
  { rule: 'that prints nothing', argv: command('') },
  { rule: 'that prints two words', argv: command('console.log("two words")') },
  {
    rule: 'that prints without end',
    argv: command('setInterval(() => console.log("x".repeat(9999)))'),
  },
  { rule: 'that does not read', argv: [process.execPath, '-e', 'process.exit(1)'] },
])('a command $rule fails the call and nothing else', async ({ argv }) => {
  const key = createKeyCommand(argv)

  const expected = { kind: 'unavailable', code: 'KMSInvalidStateException' }
  await expect(key.wrap(DATA_KEY)).rejects.toMatchObject(expected)
  await expect(key.unwrap('x')).rejects.toMatchObject(expected)
})

test('a command that says nothing is ended', async () => {
  const key = createKeyCommand(command('setInterval(() => 0, 1000)'), { timeoutMs: 300 })

  await expect(key.wrap(DATA_KEY)).rejects.toMatchObject({ code: 'KMSInvalidStateException' })
})

test('an argument is an argument, whatever a shell would make of it', async () => {
  const key = createKeyCommand([...command('console.log(process.argv[1].length)'), '$(id); "'])

  expect(await key.wrap(DATA_KEY)).toBe('8')
})

test('a stream is encrypted with a key that stays with a command, over a start; without it, it is not read', async () => {
  const meta = await scratchMetaStore()
  const directory = await scratchDirectory()
  const keys = (argv: readonly string[]) =>
    new MasterKeys(new Map([['alias/hsm', createKeyCommand(argv)]]))
  const open = async (argv: readonly string[]) =>
    untilTestEnds(
      await openDataStreams({
        ...{ directory, meta, clock: new ManualClock(), masterKeys: keys(argv) },
        ...createObserved(),
      }),
    )
  const read = async (streams: Awaited<ReturnType<typeof open>>) => {
    const position = await streams.seek('s', 'shardId-000000000000', { type: 'TRIM_HORIZON' })
    const { records } = await streams.read(position, { maxRecords: 10, maxBytes: 1 << 20 })
    return records.map(({ data }) => String(data))
  }
  const before = await open(REVERSING)
  await before.create({ name: 's', shardCount: 1, encryption: { keyId: 'alias/hsm' } })
  await before.put('s', [{ data: Buffer.from('hidden'), partitionKey: 'k' }])
  await before[Symbol.asyncDispose]()

  expect(await read(await open(REVERSING))).toEqual(['hidden'])
  await expect(read(await open(command('process.exit(1)')))).rejects.toMatchObject({
    code: 'KMSInvalidStateException',
  })
})
