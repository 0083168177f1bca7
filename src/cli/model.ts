import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { addModel, readCatalogue, resolveModel } from '../detect/index.ts'
import { CONFIG_OPTION, readArguments, readConfig, UsageError, type Command } from './command.ts'

const BUILT_IN = fileURLToPath(new URL('../../models', import.meta.url))

/** `kinora model`: which models there are, and fetching one. */
export const modelCommand: Command = {
  name: 'model',
  summary: 'list detection models, fetch one of the catalogue',
  help: `  kinora model list
  kinora model show NAME
  kinora model add NAME [--url URL]

Options
  -c, --config FILE   configuration file: its dataDirectory receives the model
      --url URL       fetch the same bytes from another place; size and sha256 stay pinned

The service uses the model named by detection.model from its next start on.`,
  run: async (args) => {
    const { values, positionals } = readArguments(() =>
      parseArgs({
        args: [...args],
        allowPositionals: true,
        options: { ...CONFIG_OPTION, url: { type: 'string' } },
      }),
    )
    const [action, name, ...rest] = positionals
    if (rest.length > 0) throw new UsageError(`unexpected: ${rest.join(' ')}`)
    const { dataDirectory } = readConfig(values.config)
    if (action === 'list' && name === undefined) {
      console.log(await toTable(dataDirectory))
      return
    }
    if (name === undefined) throw new UsageError('give an action and a model name')
    switch (action) {
      case 'show': {
        const places = { builtInDirectory: BUILT_IN, dataDirectory }
        console.log(JSON.stringify((await resolveModel(name, places)).manifest, null, 2))
        return
      }
      case 'add': {
        const { directory, manifest } = await addModel({
          name,
          catalogue: await readCatalogue(BUILT_IN),
          modelsDirectory: join(dataDirectory, 'models'),
          ...(values.url === undefined ? {} : { urlOverride: values.url }),
        })
        console.log(
          `Added ${manifest.name} ${manifest.version} (${manifest.licence}): ${directory}`,
        )
        return
      }
      default:
        throw new UsageError(`no such action: ${action}`)
    }
  },
}

async function toTable(dataDirectory: string): Promise<string> {
  const added = await listFolders(join(dataDirectory, 'models'))
  const builtIn = await listFolders(BUILT_IN)
  const { models } = await readCatalogue(BUILT_IN)
  const available = models.map(({ name }) => name).filter((name) => !added.includes(name))
  return [
    ...builtIn.map((name) => `${name}  built in`),
    ...added.map((name) => `${name}  added`),
    ...available.map((name) => `${name}  available: kinora model add ${name}`),
  ].join('\n')
}

async function listFolders(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
}
