import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { toConfigReference } from '../../src/config/index.ts'
import { toMetricsReference } from '../../src/observe/metrics-reference.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

test('docs/ref/config.md is what the schema says (node scripts/make-reference.mjs)', () => {
  expect(read('docs/ref/config.md')).toBe(toConfigReference())
})

test('docs/ref/metrics.md is what the registry says (node scripts/make-reference.mjs)', async () => {
  expect(read('docs/ref/metrics.md')).toBe(await toMetricsReference())
})

test('docs/ref/errors.md lists every error code of the code, and no other', () => {
  const inCode = new Set<string>()
  for (const file of readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue
    const source = read(join('src', file))
    for (const [, code] of source.matchAll(
      /(?:new ServiceError|super)\(\s*'[a-z-]+',\s*'([A-Za-z]+)'/g,
    )) {
      inCode.add(code!)
    }
  }
  const inDocs = [...read('docs/ref/errors.md').matchAll(/^\| `([A-Za-z]+)` \|/gm)].map(
    ([, code]) => code!,
  )

  expect(inDocs.toSorted()).toEqual([...inCode].toSorted())
})

test('every link between the documents leads to a file', () => {
  const pages = [
    'README.md',
    'CHANGELOG.md',
    ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => join('docs', name)),
  ]
  const broken = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)/g)]
      .map(([, target]) => resolve(ROOT, page, '..', target!))
      .filter((path) => {
        try {
          readdirSync(path)
          return false
        } catch (error) {
          return (error as NodeJS.ErrnoException).code === 'ENOENT'
        }
      })
      .map((path) => `${page} -> ${path}`),
  )

  expect(broken).toEqual([])
})
