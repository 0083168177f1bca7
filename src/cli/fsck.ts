import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { fsck, rebuildIndex, type FsckReport } from '../archive/index.ts'
import { findDamagedTable } from '../platform/level/check-files.ts'
import { saveDamagedLevel, type SavedLevel } from '../platform/level/save.ts'
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
      --rebuild       make every sidecar and the catalogue again from the Matroska files alone; of a
                      damaged meta/ what can be read is saved first, and a copy of it as it was kept
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
    const metaDirectory = join(dataDirectory, 'meta')
    const saved = rebuild ? await saveDamagedLevel(metaDirectory, new Date()) : null
    const damagedTable = rebuild ? null : await findDamagedTable(metaDirectory)
    await using meta = await openLevelMetaStore(metaDirectory)
    const target = { directory: join(dataDirectory, 'archive'), meta }
    const checked = rebuild
      ? await rebuildIndex(target)
      : await fsck(target, {
          depth: bytes ? 'bytes' : 'presence',
          repair: repair ? 'index' : 'nothing',
        })
    const report = damagedTable === null ? checked : withDamagedTable(checked, damagedTable)
    const told = saved === null ? report : { ...report, meta: saved }
    console.log(json ? JSON.stringify(told) : toText(report, saved))
    if (report.findings.length > 0 || saved !== null) process.exitCode = 1
  },
}

function withDamagedTable(report: FsckReport, detail: string): FsckReport {
  const finding = { code: 'meta-table', stream: null, chunk: null, detail } as const
  return { ...report, findings: [finding, ...report.findings] }
}

function toText({ checked, findings, repaired }: FsckReport, saved: SavedLevel | null): string {
  const lines = findings.map(({ code, stream, chunk, detail }) =>
    [code, stream ?? '-', chunk ?? '-', detail].join('  '),
  )
  const { streams, chunks, openChunks, fragments, bytes } = checked
  return [
    ...(saved === null ? [] : [toSavedText(saved)]),
    ...lines,
    `Checked ${streams} streams, ${chunks} chunks, ${fragments} fragments, ${bytes} bytes of media.`,
    ...(openChunks > 0 ? [`${openChunks} chunks are open: the next start finishes them.`] : []),
    `${findings.length} findings, ${repaired} repaired.`,
  ].join('\n')
}

function toSavedText({ damage, copy }: SavedLevel): string {
  return `meta/ was damaged: ${damage}. What of it can be read was saved; the rest is gone: look whether
streams, keys, pipelines and hooks are all there. As it was, it is kept in ${copy}.`
}
