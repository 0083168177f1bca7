import { parseArgs } from 'node:util'
import { startApp } from '../app.ts'
import { createLog, type LogLevel } from '../observe/log.ts'
import { CONFIG_OPTION, readArguments, readConfig, type Command } from './command.ts'
import { runUntilSignal } from './run-until-signal.ts'

/** `kinora serve`: the service itself. */
export const serveCommand: Command = {
  name: 'serve',
  summary: 'run the service',
  help: `  kinora serve [--config FILE]

Options
  -c, --config FILE   configuration file (default: $KINORA_CONFIG, else ./kinora.yaml if there)

Logs JSON lines to standard output. The first SIGINT or SIGTERM drains and stops, the second ends
the process at once.`,
  run: async (args) => {
    const { values } = readArguments(() =>
      parseArgs({
        args: [...args],
        options: CONFIG_OPTION,
        allowPositionals: false,
      }),
    )
    const config = readConfig(values.config)
    const log = createLog(config.log.level as LogLevel)
    await runUntilSignal(() => startApp(config, { log }))
  },
}
