import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChunkStore } from '../../src/archive/chunk-store.ts'

/** An engine under test, and a directory of it that is there and empty. */
export type ChunkStoreEngine = {
  readonly store: ChunkStore
  readonly directory: string
  [Symbol.asyncDispose](): Promise<void>
}

/** What every {@link ChunkStore} promises while the power stays on. */
export function chunkStoreContract(name: string, start: () => Promise<ChunkStoreEngine>): void {
  describe(`${name}: ChunkStore contract`, () => {
    let engine: ChunkStoreEngine
    let store: ChunkStore

    beforeEach(async () => {
      engine = await start()
      store = engine.store
    })
    afterEach(async () => {
      await engine[Symbol.asyncDispose]()
    })

    const at = (path: string) => `${engine.directory}/${path}`

    async function write(path: string, ...parts: readonly string[]): Promise<void> {
      const file = await store.open(at(path), 'wx+')
      await file.write(
        parts.map((part) => Buffer.from(part)),
        0,
      )
      await file.sync()
      await file.close()
      await store.syncDirectory(at(path).replace(/\/[^/]*$/, ''))
    }

    async function textOf(path: string, flags: 'r' | 'r+' = 'r'): Promise<string> {
      const file = await store.open(at(path), flags)
      const bytes = await file.read(0, 1000)
      await file.close()
      return bytes.toString()
    }

    async function listed(path: string): Promise<readonly string[]> {
      const found: string[] = []
      for await (const file of store.list(at(path))) found.push(file)
      return found.sort()
    }

    test('reads back what was written, of many parts, with empty ones between', async () => {
      await write('a', 'one ', '', 'two ', 'three')

      expect(await textOf('a')).toBe('one two three')
      expect(await textOf('a', 'r+')).toBe('one two three')
    })

    test('takes more parts than the system takes in one call', async () => {
      const parts = Array.from({ length: 3000 }, (_, i) => Buffer.from(`${i};`))
      const file = await store.open(at('many'), 'wx+')
      await file.write(parts, 0)

      const whole = Buffer.concat(parts)
      expect(await file.size()).toBe(whole.length)
      expect((await file.read(0, whole.length)).equals(whole)).toBe(true)
      await file.close()
    })

    test.each([
      { rule: 'a slice', position: 2, length: 3, text: 'cde' },
      { rule: 'shorter where the file ends', position: 4, length: 9, text: 'ef' },
      { rule: 'nothing behind the end', position: 9, length: 4, text: '' },
      { rule: 'nothing of no length', position: 1, length: 0, text: '' },
    ])('reads $rule', async ({ position, length, text }) => {
      await write('a', 'abcdef')
      const file = await store.open(at('a'), 'r')

      expect((await file.read(position, length)).toString()).toBe(text)
      await file.close()
    })

    test.each([
      { rule: 'appends', position: 3, text: 'abcXY' },
      { rule: 'overwrites', position: 0, text: 'XYc' },
      { rule: 'overwrites the end and goes on', position: 2, text: 'abXY' },
      { rule: 'leaves zeros in a gap', position: 4, text: 'abc\0XY' },
    ])('$rule at a position', async ({ position, text }) => {
      await write('a', 'abc')
      const file = await store.open(at('a'), 'r+')

      await file.write([Buffer.from('XY')], position)

      expect(await file.size()).toBe(text.length)
      await file.close()
      expect(await textOf('a')).toBe(text)
    })

    test('truncates, and what was cut off does not come back', async () => {
      await write('a', 'abcdef')
      const file = await store.open(at('a'), 'r+')
      await file.truncate(2)
      expect(await file.size()).toBe(2)
      await file.write([Buffer.from('Z')], 4)
      await file.close()

      expect(await textOf('a')).toBe('ab\0\0Z')
    })

    test('a reader sees what grows behind it, written and not yet synced', async () => {
      const writer = await store.open(at('a'), 'wx+')
      const reader = await store.open(at('a'), 'r')
      await writer.write([Buffer.from('ab')], 0)
      expect((await reader.read(0, 9)).toString()).toBe('ab')
      await writer.write([Buffer.from('cd')], 2)

      expect((await reader.read(0, 9)).toString()).toBe('abcd')
      await writer.close()
      await reader.close()
    })

    test('who has a file open goes on reading when it is unlinked', async () => {
      await write('a', 'abc')
      const reader = await store.open(at('a'), 'r')
      await store.unlink(at('a'))
      await write('a', 'another')

      expect((await reader.read(0, 9)).toString()).toBe('abc')
      expect(await textOf('a')).toBe('another')
      await reader.close()
    })

    test('a handle for reading does not write', async () => {
      await write('a', 'abc')
      const reader = await store.open(at('a'), 'r')

      await expect(reader.write([Buffer.from('X')], 0)).rejects.toThrow()
      await reader.close()
      expect(await textOf('a')).toBe('abc')
    })

    test.each([
      { rule: 'reading what is not there', code: 'ENOENT', path: 'no', flags: 'r' as const },
      { rule: 'changing what is not there', code: 'ENOENT', path: 'no', flags: 'r+' as const },
      { rule: 'creating what is there', code: 'EEXIST', path: 'a', flags: 'wx+' as const },
      { rule: 'creating in no directory', code: 'ENOENT', path: 'no/a', flags: 'wx+' as const },
    ])('$rule fails with $code', async ({ code, path, flags }) => {
      await write('a', 'abc')

      await expect(store.open(at(path), flags)).rejects.toMatchObject({ code })
    })

    test('unlinking or syncing what is not there fails with ENOENT', async () => {
      await expect(store.unlink(at('no'))).rejects.toMatchObject({ code: 'ENOENT' })
      await expect(store.syncDirectory(at('no'))).rejects.toMatchObject({ code: 'ENOENT' })
    })

    test('makes directories with their parents, and again', async () => {
      await store.makeDirectory(at('x/y/z'))
      await store.makeDirectory(at('x/y/z'))
      await write('x/y/z/a', 'abc')

      expect(await textOf('x/y/z/a')).toBe('abc')
    })

    test('removes a directory only when nothing is in it', async () => {
      await store.makeDirectory(at('x/y'))
      await write('x/y/a', 'abc')
      await store.removeEmptyDirectory(at('x'))
      await store.removeEmptyDirectory(at('x/y'))
      expect(await textOf('x/y/a')).toBe('abc')
      await store.unlink(at('x/y/a'))
      await store.removeEmptyDirectory(at('x/y'))
      await store.removeEmptyDirectory(at('x/y'))

      await expect(store.open(at('x/y/a'), 'wx+')).rejects.toMatchObject({ code: 'ENOENT' })
    })

    test('lists the files below a directory, none that were unlinked', async () => {
      await store.makeDirectory(at('x/y'))
      await store.makeDirectory(at('xx'))
      for (const path of ['x/a', 'x/y/b', 'x/y/c', 'xx/d']) await write(path, 'abc')
      await store.unlink(at('x/y/c'))

      expect(await listed('x')).toEqual([at('x/a'), at('x/y/b')])
      expect(await listed('nowhere')).toEqual([])
    })
  })
}
