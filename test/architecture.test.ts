import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { expect, test } from 'vitest'

const SRC = resolve(import.meta.dirname, '../src')

const BASE = ['domain', 'platform', 'observe']
const STORES = ['archive', 'datastream']
/** folder -> folders it may import, besides itself. Files directly in src/ may import anything. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  domain: [],
  media: ['domain'],
  platform: ['domain'],
  config: ['domain', 'platform'],
  client: ['domain', 'media', 'platform'],
  observe: ['domain', 'platform'],
  registry: BASE,
  archive: [...BASE, 'media'],
  datastream: BASE,
  ingest: [...BASE, 'media', 'registry', 'archive'],
  playback: [...BASE, 'media', 'registry', 'archive'],
  consume: [...BASE, ...STORES],
  detect: [...BASE, 'media'],
  publish: [...BASE, 'datastream'],
  notify: [...BASE, 'registry', 'datastream', 'consume'],
  deliver: [...BASE, 'media', 'registry', 'archive', 'consume'],
  api: [...BASE, 'media', 'registry', ...STORES, 'ingest', 'playback', 'consume'],
}
/** Libraries are open; every other folder is entered through its index.ts. */
const OPEN = new Set(['domain', 'media', 'platform', 'observe', 'config'])
/** The command line is a composition root of its own, like app.ts; the console runs in browsers. */
const UNCHECKED = new Set(['cli', 'console'])

/** Third-party package -> where it may be imported. */
const DOORS: Record<string, RegExp> = {
  'node-av': /^platform\/av/,
  'onnxruntime-node': /^detect\/session\.ts$/,
  sharp: /^(detect|playback\/image)\//,
  mp4box: /^$/, // a reader for tests only
  fastify: /^api\//,
  'classic-level': /^platform\//,
  pino: /^observe\//,
  'prom-client': /^observe\//,
}

const FILES = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.tsx?$/.test(file))
  .map((file) => file.split(sep).join('/'))

test('imports follow the dependency rule', () => {
  const offences: string[] = []
  for (const file of FILES) {
    const from = file.split('/')[0]!
    if (!file.includes('/') || UNCHECKED.has(from)) continue
    const allowed = MAY_IMPORT[from]
    if (allowed === undefined) {
      offences.push(`${file}: the folder ${from} is not in the table`)
      continue
    }
    for (const target of importedFiles(file)) {
      const to = target.split('/')[0]!
      if (to === from) continue
      if (!allowed.includes(to)) offences.push(`${file}: ${from} may not import ${to}`)
      else if (!OPEN.has(to) && target !== `${to}/index.ts`)
        offences.push(`${file}: enter ${to} through its index.ts`)
    }
  }

  expect(offences).toEqual([])
})

test('the protocols of api/ share only what is meant to be shared', () => {
  const shared = new Set(['auth', 'aws'])
  const offences = FILES.filter((file) => /^api\/[^/]+\//.test(file)).flatMap((file) =>
    importedFiles(file)
      .filter((target) => /^api\/[^/]+\//.test(target))
      .filter((target) => {
        const [, to] = target.split('/')
        return to !== file.split('/')[1] && !shared.has(to!)
      })
      .map((target) => `${file} may not import ${target}`),
  )

  expect(offences).toEqual([])
})

test('third-party packages are used behind their doors', () => {
  const offences = FILES.filter((file) => !file.startsWith('console/')).flatMap((file) =>
    importedPackages(file)
      .filter((name) => DOORS[name] !== undefined && !DOORS[name].test(file))
      .map((name) => `${file}: ${name} belongs behind its door`),
  )

  expect(offences).toEqual([])
})

test('the table sees the whole tree', () => {
  expect(FILES.length).toBeGreaterThan(50)
})

/** Paths relative to src/ of everything `file` imports by a relative path. */
function importedFiles(file: string): string[] {
  return [...read(file).matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)].map(([, path]) =>
    relative(SRC, resolve(SRC, dirname(file), path!))
      .split(sep)
      .join('/'),
  )
}

function importedPackages(file: string): string[] {
  return [...read(file).matchAll(/(?:from|import)\s*\(?\s*'((?:@[^/']+\/)?[^./'][^/']*)/g)].map(
    ([, name]) => name!,
  )
}

function read(file: string): string {
  return readFileSync(join(SRC, file), 'utf8')
}
