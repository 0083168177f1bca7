import { createHash } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ServiceError } from '../domain/errors.ts'
import { loadManifest, loadModel, parseManifest, type ModelManifest } from './manifest.ts'

/** Models that `addModel` can fetch: their manifests, whose `source.url` is pinned to a commit. */
export type ModelCatalogue = { readonly models: readonly ModelManifest[] }

export type InstalledModel = { readonly directory: string; readonly manifest: ModelManifest }

/** @param builtInDirectory the project's models/ */
export async function readCatalogue(builtInDirectory: string): Promise<ModelCatalogue> {
  const path = join(builtInDirectory, 'catalogue.json')
  const value = JSON.parse(await readFile(path, 'utf8')) as { models: readonly unknown[] }
  return { models: value.models.map((entry, i) => parseManifest(entry, `${path} #${i}`)) }
}

export type AddModelOptions = {
  readonly name: string
  readonly catalogue: ModelCatalogue
  /** `<data>/models`; made when missing. */
  readonly modelsDirectory: string
  readonly signal?: AbortSignal
  readonly fetch?: typeof fetch
  /** Another place to fetch the same bytes from: a mirror. */
  readonly urlOverride?: string
}

/**
 * Fetches a model of the catalogue into `<modelsDirectory>/<name>`. What is not exactly the pinned
 * file is never kept: size and sha256 are checked while it streams, and the folder appears whole or
 * not at all.
 *
 * @throws ServiceError `not-found`/`ModelNotFound` when the catalogue has no such name,
 *   `unavailable`/`ModelDownloadFailed`, `data-loss`/`ModelCorrupt`
 */
export async function addModel(options: AddModelOptions): Promise<InstalledModel> {
  const { name, catalogue } = options
  const manifest = catalogue.models.find((model) => model.name === name)
  if (manifest === undefined) {
    const names = catalogue.models.map((model) => model.name).join(', ')
    throw new ServiceError('not-found', 'ModelNotFound', `The catalogue has no ${name}: ${names}.`)
  }
  const url = options.urlOverride ?? manifest.source.url
  return install(manifest, options.modelsDirectory, url, () => download(url, options))
}

export type ResolveModelOptions = {
  /** The project's models/: built-in models and the catalogue. */
  readonly builtInDirectory: string
  /** Added models lie in `models/` below it. */
  readonly dataDirectory: string
}

/**
 * Finds a model by its name (added or built in), by its folder, or by the path of an ONNX file
 * that the catalogue knows by its sha256; the last is copied into the data folder.
 *
 * @throws ServiceError `not-found`/`ModelNotFound`, `invalid-argument`/`ModelManifestInvalid`
 */
export async function resolveModel(
  nameOrPath: string,
  options: ResolveModelOptions,
): Promise<InstalledModel> {
  const modelsDirectory = join(options.dataDirectory, 'models')
  if (/^[a-z0-9][a-z0-9._-]*$/.test(nameOrPath) && !nameOrPath.endsWith('.onnx')) {
    for (const parent of [modelsDirectory, options.builtInDirectory]) {
      const directory = join(parent, nameOrPath)
      if (await isDirectory(directory)) {
        return { directory, manifest: await loadManifest(directory) }
      }
    }
    const { models } = await readCatalogue(options.builtInDirectory)
    const hint = models.some(({ name }) => name === nameOrPath)
      ? ` Fetch it with "kinora model add ${nameOrPath}".`
      : ''
    throw new ServiceError('not-found', 'ModelNotFound', `There is no model ${nameOrPath}.${hint}`)
  }
  if (await isDirectory(nameOrPath)) {
    return { directory: nameOrPath, manifest: await loadManifest(nameOrPath) }
  }
  return adoptFile(nameOrPath, modelsDirectory, await readCatalogue(options.builtInDirectory))
}

async function adoptFile(
  path: string,
  modelsDirectory: string,
  catalogue: ModelCatalogue,
): Promise<InstalledModel> {
  let onnx: Uint8Array
  try {
    onnx = await readFile(path)
  } catch (cause) {
    throw new ServiceError('not-found', 'ModelNotFound', `There is no model at ${path}.`, { cause })
  }
  const sha256 = createHash('sha256').update(onnx).digest('hex')
  const manifest = catalogue.models.find((model) => model.sha256 === sha256)
  if (manifest === undefined) {
    throw new ServiceError(
      'not-found',
      'ModelNotFound',
      `${path} (sha256 ${sha256}) is not in the catalogue: give the folder that holds it and its ` +
        'manifest.json.',
    )
  }
  const directory = join(modelsDirectory, manifest.name)
  const present = await loadModel(directory).catch(() => null)
  if (present?.manifest.sha256 === sha256) return { directory, manifest: present.manifest }
  return install(manifest, modelsDirectory, basename(path), async () => [onnx])
}

/**
 *   1. model and manifest into a temporary folder, each synced
 *   2. the folder of that name away, if there is one
 *   3. the temporary folder to that name, and the parent synced
 */
async function install(
  manifest: ModelManifest,
  modelsDirectory: string,
  origin: string,
  read: () => Promise<AsyncIterable<Uint8Array> | Iterable<Uint8Array>>,
): Promise<InstalledModel> {
  const directory = join(modelsDirectory, manifest.name)
  const temporary = join(modelsDirectory, `.${manifest.name}.${process.pid}.partial`)
  await rm(temporary, { recursive: true, force: true })
  await mkdir(temporary, { recursive: true })
  try {
    await writeSynced(join(temporary, manifest.file), async (file) => {
      await copyChecked(await read(), file, manifest, origin)
    })
    await writeSynced(join(temporary, 'manifest.json'), async (file) => {
      await file.writeFile(`${JSON.stringify(manifest, null, 2)}\n`)
    })
    await rm(directory, { recursive: true, force: true })
    await rename(temporary, directory)
    await syncDirectory(dirname(directory))
  } catch (error) {
    await rm(temporary, { recursive: true, force: true })
    throw error
  }
  return { directory, manifest }
}

async function download(url: string, options: AddModelOptions): Promise<AsyncIterable<Uint8Array>> {
  const signal = options.signal ?? null
  let response: Response
  try {
    response = await (options.fetch ?? fetch)(url, { signal })
  } catch (cause) {
    signal?.throwIfAborted()
    throw new ServiceError('unavailable', 'ModelDownloadFailed', `Cannot reach ${url}.`, { cause })
  }
  if (!response.ok || response.body === null) {
    await response.body?.cancel()
    throw new ServiceError(
      'unavailable',
      'ModelDownloadFailed',
      `${url} answered HTTP ${response.status}.`,
    )
  }
  return response.body as AsyncIterable<Uint8Array>
}

/** Stops at the first byte too many: a server may send for ever. */
async function copyChecked(
  parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  file: FileHandle,
  manifest: ModelManifest,
  origin: string,
): Promise<void> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  try {
    for await (const part of parts) {
      sizeBytes += part.byteLength
      if (sizeBytes > manifest.sizeBytes) break
      hash.update(part)
      await file.write(part)
    }
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause
    throw new ServiceError(
      'unavailable',
      'ModelDownloadFailed',
      `${origin} broke off after ${sizeBytes} of ${manifest.sizeBytes} bytes.`,
      { cause },
    )
  }
  if (sizeBytes !== manifest.sizeBytes) {
    throw new ServiceError(
      'data-loss',
      'ModelCorrupt',
      `${origin} has ${sizeBytes > manifest.sizeBytes ? 'more than' : `${sizeBytes} bytes, not`} ` +
        `${manifest.sizeBytes} bytes.`,
    )
  }
  const sha256 = hash.digest('hex')
  if (sha256 !== manifest.sha256) {
    throw new ServiceError(
      'data-loss',
      'ModelCorrupt',
      `${origin} has sha256 ${sha256}; expected is ${manifest.sha256}.`,
    )
  }
}

async function writeSynced(
  path: string,
  write: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const file = await open(path, 'wx')
  try {
    await write(file)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}
