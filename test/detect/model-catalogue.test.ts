import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  addModel,
  openDetector,
  readCatalogue,
  resolveModel,
  type ModelCatalogue,
} from '../../src/detect/index.ts'
import { loadModel, type ModelManifest } from '../../src/detect/manifest.ts'
import { silentLog } from '../../src/observe/log.ts'

const BUILT_IN = fileURLToPath(new URL('../../models', import.meta.url))

let data: string
let server: Server
let answer: RequestListener
let url: string

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'kinora-models-'))
  server = createServer((request, response) => answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.onnx`
})
afterEach(async () => {
  server.closeAllConnections()
  server.close()
  await rm(data, { recursive: true, force: true })
})

const motion = () => loadModel(join(BUILT_IN, 'kinora-motion'))

/** A catalogue with the built-in model under another name. */
async function catalogueOf(change: Partial<ModelManifest> = {}): Promise<ModelCatalogue> {
  const { manifest } = await motion()
  return { models: [{ ...manifest, name: 'far-away', ...change }] }
}

const add = (catalogue: ModelCatalogue, name = 'far-away') =>
  addModel({ name, catalogue, modelsDirectory: join(data, 'models'), urlOverride: url })

const modelsLeft = async () => (await readdir(join(data, 'models')).catch(() => [])).sort()

test('the catalogue of the project is whole, pinned by commit', async () => {
  const { models } = await readCatalogue(BUILT_IN)

  expect(models.map(({ name }) => name)).toEqual(['yolox-nano', 'nanodet-m'])
  for (const { source, labels } of models) {
    expect(source.url).toContain(source.commit)
    expect(labels).toHaveLength(80)
  }
})

describe('addModel', () => {
  test('fetches, checks and installs a model that opens', async () => {
    const { onnx } = await motion()
    answer = (_request, response) => response.end(onnx)

    const { directory, manifest } = await add(await catalogueOf())

    expect(await modelsLeft()).toEqual(['far-away'])
    expect(manifest.name).toBe('far-away')
    await using detector = await openDetector(
      { modelDirectory: directory, framesPerSecond: 5, workers: 1 },
      { log: silentLog },
    )
    expect(detector).toMatchObject({ modelName: 'far-away', labels: ['motion'] })
    const found = await resolveModel('far-away', {
      builtInDirectory: BUILT_IN,
      dataDirectory: data,
    })
    expect(found).toEqual({ directory, manifest })
  })

  test('the pinned address is the one that is asked', async () => {
    const { onnx } = await motion()
    const asked: string[] = []
    const fetchStub = (async (address: string) => {
      asked.push(address)
      return new Response(Uint8Array.from(onnx))
    }) as typeof fetch
    const catalogue = await catalogueOf({ source: { url: 'https://example.test/pinned.onnx' } })

    await addModel({
      name: 'far-away',
      catalogue,
      modelsDirectory: join(data, 'models'),
      fetch: fetchStub,
    })

    expect(asked).toEqual(['https://example.test/pinned.onnx'])
  })

  test.each([
    {
      rule: 'HTTP 404',
      listener: (): RequestListener => (_request, response) => response.writeHead(404).end('no'),
      failure: { kind: 'unavailable', code: 'ModelDownloadFailed', message: /HTTP 404/ },
    },
    {
      rule: 'other bytes of the same size',
      listener:
        (onnx: Uint8Array): RequestListener =>
        (_request, response) =>
          response.end(Buffer.from(onnx).fill(1, 500, 501)),
      failure: {
        kind: 'data-loss',
        code: 'ModelCorrupt',
        message: /has sha256 [0-9a-f]{64}; expected is [0-9a-f]{64}/,
      },
    },
    {
      rule: 'fewer bytes',
      listener:
        (onnx: Uint8Array): RequestListener =>
        (_request, response) =>
          response.end(onnx.subarray(0, 1_000)),
      failure: {
        kind: 'data-loss',
        code: 'ModelCorrupt',
        message: /has 1000 bytes, not \d+ bytes/,
      },
    },
    {
      rule: 'a connection that breaks off',
      listener:
        (onnx: Uint8Array): RequestListener =>
        (_request, response) => {
          response.writeHead(200, { 'content-length': onnx.byteLength })
          response.write(onnx.subarray(0, 1_000), () => response.destroy())
        },
      failure: { kind: 'unavailable', code: 'ModelDownloadFailed', message: /broke off after/ },
    },
    {
      rule: 'bytes without end',
      listener: (): RequestListener => (_request, response) => {
        const more = () => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536)));
          if (!response.destroyed) response.once('drain', more)
        }
        more()
      },
      failure: { kind: 'data-loss', code: 'ModelCorrupt', message: /has more than \d+ bytes/ },
    },
    {
      rule: 'nobody there',
      listener: (): RequestListener => (request) => request.socket.destroy(),
      failure: { kind: 'unavailable', code: 'ModelDownloadFailed', message: /Cannot reach/ },
    },
  ])('$rule: says so and leaves nothing', async ({ listener, failure }) => {
    answer = listener((await motion()).onnx)

    await expect(add(await catalogueOf())).rejects.toMatchObject({
      ...failure,
      message: expect.stringMatching(failure.message) as string,
    })

    expect(await modelsLeft()).toEqual([])
  })

  test('a failed fetch leaves the installed model as it was', async () => {
    const { onnx } = await motion()
    answer = (_request, response) => response.end(onnx)
    const { directory } = await add(await catalogueOf())
    answer = (_request, response) => response.end('nonsense')

    await expect(add(await catalogueOf())).rejects.toMatchObject({ code: 'ModelCorrupt' })

    expect(await modelsLeft()).toEqual(['far-away'])
    expect((await loadModel(directory)).manifest.name).toBe('far-away')
  })

  test('a name that is not in the catalogue is answered with those that are', async () => {
    await expect(add(await catalogueOf(), 'unheard-of')).rejects.toMatchObject({
      kind: 'not-found',
      code: 'ModelNotFound',
      message: expect.stringContaining('far-away') as string,
    })
  })
})

describe('resolveModel', () => {
  const places = () => ({ builtInDirectory: BUILT_IN, dataDirectory: data })

  test('by name of a built-in model', async () => {
    const { directory, manifest } = await resolveModel('kinora-motion', places())

    expect(directory).toBe(join(BUILT_IN, 'kinora-motion'))
    expect(manifest.labels).toEqual(['motion'])
  })

  test('by folder', async () => {
    const folder = join(data, 'mine')
    await cp(join(BUILT_IN, 'kinora-motion'), folder, { recursive: true })

    expect(await resolveModel(folder, places())).toMatchObject({ directory: folder })
  })

  test('by the path of an ONNX file that the catalogue knows', async () => {
    // A catalogue of its own, so that no downloaded model is needed.
    const builtIn = join(data, 'built-in')
    await mkdir(builtIn)
    await writeFile(join(builtIn, 'catalogue.json'), JSON.stringify(await catalogueOf()))
    const path = join(data, 'renamed.onnx')
    await copyFile(join(BUILT_IN, 'kinora-motion', 'model.onnx'), path)
    const dataDirectory = join(data, 'data')

    const first = await resolveModel(path, { builtInDirectory: builtIn, dataDirectory })
    const second = await resolveModel(path, { builtInDirectory: builtIn, dataDirectory })

    expect(first.directory).toBe(join(dataDirectory, 'models', 'far-away'))
    expect(second).toEqual(first)
    expect((await loadModel(first.directory)).manifest.name).toBe('far-away')
  })

  test.each([
    { rule: 'an unknown name', name: 'unheard-of', message: /no model unheard-of/ },
    { rule: 'a name of the catalogue', name: 'yolox-nano', message: /kinora model add yolox-nano/ },
    { rule: 'a path to nothing', name: '/nowhere/model.onnx', message: /no model at/ },
    {
      rule: 'a file that nobody knows',
      name: fileURLToPath(import.meta.url),
      message: /is not in the catalogue/,
    },
    {
      rule: 'a way out of the folder',
      name: '../../etc/passwd',
      message: /no model|not in the catalogue/,
    },
  ])('$rule is not found', async ({ name, message }) => {
    await expect(resolveModel(name, places())).rejects.toMatchObject({
      kind: 'not-found',
      code: 'ModelNotFound',
      message: expect.stringMatching(message) as string,
    })
  })
})

describe('a model folder', () => {
  const broken = async (change: (manifest: Record<string, unknown>) => unknown) => {
    const folder = join(data, 'broken')
    await cp(join(BUILT_IN, 'kinora-motion'), folder, { recursive: true })
    const path = join(folder, 'manifest.json')
    const manifest = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
    const changed = change(manifest)
    await writeFile(path, typeof changed === 'string' ? changed : JSON.stringify(changed))
    return folder
  }

  test.each([
    { rule: 'no JSON', change: () => '{', message: /is not JSON/ },
    { rule: 'a field missing', change: ({ labels: _, ...rest }) => rest, message: /labels/ },
    { rule: 'a field too many', change: (m) => ({ ...m, extra: 1 }), message: /extra/ },
    { rule: 'a path for a file', change: (m) => ({ ...m, file: '../x.onnx' }), message: /file/ },
    {
      rule: 'a deviation of zero',
      change: (m) => ({ ...m, input: { ...(m.input as object), std: [1, 0, 1] } }),
      message: /input\/std/,
    },
  ] as {
    rule: string
    change: (manifest: Record<string, unknown>) => unknown
    message: RegExp
  }[])('$rule: the manifest is invalid', async ({ change, message }) => {
    await expect(loadModel(await broken(change))).rejects.toMatchObject({
      code: 'ModelManifestInvalid',
      message: expect.stringMatching(message) as string,
    })
  })

  test('other bytes than the manifest says are not opened', async () => {
    const folder = await broken((manifest) => ({ ...manifest, sha256: '0'.repeat(64) }))

    await expect(loadModel(folder)).rejects.toMatchObject({ code: 'ModelCorrupt' })
  })

  test('bytes that are no model are refused by the engine, with their sha256 right', async () => {
    const folder = await broken((manifest) => ({
      ...manifest,
      sha256: createHash('sha256').update('nonsense').digest('hex'),
    }))
    await writeFile(join(folder, 'model.onnx'), 'nonsense')

    await expect(
      openDetector({ modelDirectory: folder, framesPerSecond: 5, workers: 1 }, { log: silentLog }),
    ).rejects.toMatchObject({ kind: 'data-loss', code: 'ModelCorrupt' })
  })

  test('an input that the model does not have is reported at once', async () => {
    const folder = await broken((manifest) => ({
      ...manifest,
      input: { ...(manifest.input as object), name: 'pixels' },
    }))

    await expect(
      openDetector({ modelDirectory: folder, framesPerSecond: 5, workers: 1 }, { log: silentLog }),
    ).rejects.toMatchObject({ code: 'ModelManifestInvalid' })
  })

  test('labels that the model does not have are refused', async () => {
    const options = {
      modelDirectory: join(BUILT_IN, 'kinora-motion'),
      framesPerSecond: 5,
      workers: 1,
    }

    await expect(
      openDetector({ ...options, labels: ['person'] }, { log: silentLog }),
    ).rejects.toMatchObject({ code: 'UnknownLabel' })
  })
})
