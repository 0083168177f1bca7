import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fsck, rebuildIndex, type FsckReport } from '../archive/index.ts'
import { openLevelMetaStore } from '../platform/meta-store.ts'
import { CONFIG_OPTION, readArguments, readConfig, UsageError, type Command } from './command.ts'

/** `kinora fsck`: checks the archive while the service does not run. */
export const fsckCommand: Command = {
  name: 'fsck',
  summary: 'check the archive of a stopped service, repair or rebuild its index',
  help: `  kinora fsck [--bytes] [--repair]
  kinora fsck --rebuild

Options
  -c, --config FILE   configuration file (default: $KINORA_CONFIG, else ./kinora.yaml if there)
      --bytes         read all media too and compare it with its checksums
      --repair        make damaged sidecars again, put rows and sums right; media stays as it is
      --rebuild       make every sidecar and the catalogue again from the Matroska files alone
      --json          print the report as JSON

Exits with 0 when the archive is clean, 1 when something was found (repaired or not), 2 when it was
called wrongly. It refuses while the service holds the data directory.`,
  run: async (args) => {
    const { values } = readArguments(() =>
      parseArgs({
        args: [...args],
        allowPositionals: false,
        options: {
          ...CONFIG_OPTION,
          bytes: { type: 'boolean' },
          repair: { type: 'boolean' },
          rebuild: { type: 'boolean' },
          json: { type: 'boolean' },
        },
      }),
    )
    const { bytes = false, repair = false, rebuild = false, json = false } = values
    if (rebuild && (bytes || repair)) throw new UsageError('--rebuild goes alone')
    const { dataDirectory } = readConfig(values.config)
    await using meta = await openLevelMetaStore(join(dataDirectory, 'meta'))
    const target = { directory: join(dataDirectory, 'archive'), meta }
    const report = rebuild
      ? await rebuildIndex(target)
      : await fsck(target, {
          depth: bytes ? 'bytes' : 'presence',
          repair: repair ? 'index' : 'nothing',
        })
    console.log(json ? JSON.stringify(report) : toText(report))
    if (report.findings.length > 0) process.exitCode = 1
  },
}

function toText({ checked, findings, repaired }: FsckReport): string {
  const lines = findings.map(({ code, stream, chunk, detail }) =>
    [code, stream ?? '-', chunk ?? '-', detail].join('  '),
  )
  const { streams, chunks, openChunks, fragments, bytes } = checked
  return [
    ...lines,
    `Checked ${streams} streams, ${chunks} chunks, ${fragments} fragments, ${bytes} bytes of media.`,
    ...(openChunks > 0 ? [`${openChunks} chunks are open: the next start finishes them.`] : []),
    `${findings.length} findings, ${repaired} repaired.`,
  ].join('\n')
}
