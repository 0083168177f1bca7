import { readFileSync } from 'node:fs'
import { clipCommand } from './cli/clip.ts'
import { configCommand } from './cli/config.ts'
import { UsageError, type Command } from './cli/command.ts'
import { demoCommand } from './cli/demo.ts'
import { fsckCommand } from './cli/fsck.ts'
import { getCommand } from './cli/get.ts'
import { holdCommand } from './cli/hold.ts'
import { modelCommand } from './cli/model.ts'
import { putCommand } from './cli/put.ts'
import { recordsCommand } from './cli/records.ts'
import { serveCommand } from './cli/serve.ts'
import { sourcesCommand } from './cli/sources.ts'
import { streamsCommand } from './cli/streams.ts'
import { ServiceError } from './domain/errors.ts'

// The entry of the `kinora` program: finds the command and turns failures into exit codes.

const COMMANDS: readonly Command[] = [
  serveCommand,
  demoCommand,
  streamsCommand,
  sourcesCommand,
  putCommand,
  getCommand,
  clipCommand,
  holdCommand,
  recordsCommand,
  modelCommand,
  fsckCommand,
  configCommand,
]

async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args
  if (name === '--version') {
    const file = new URL('../package.json', import.meta.url)
    const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
    console.log(version)
    return 0
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    console.log(overview())
    return name === undefined ? 2 : 0
  }
  const command = COMMANDS.find((candidate) => candidate.name === name)
  if (command === undefined) {
    console.error(`kinora: no such command: ${name}\n\n${overview()}`)
    return 2
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    console.log(`kinora ${command.name}: ${command.summary}\n\n${command.help}`)
    return 0
  }
  try {
    await command.run(rest)
    return typeof process.exitCode === 'number' ? process.exitCode : 0
  } catch (error) {
    return report(command, error)
  }
}

function report(command: Command, error: unknown): number {
  if (error instanceof UsageError) {
    console.error(`kinora ${command.name}: ${error.message}\n\n${command.help}`)
    return 2
  }
  if (error instanceof ServiceError) {
    console.error(`kinora ${command.name}: ${error.message} [${error.code}]`)
    return 1
  }
  console.error(error)
  return 1
}

function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length))
  const list = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)
  return `kinora: self-hosted video streams\n\nkinora COMMAND [ARGUMENTS]\n\n${list.join('\n')}\n
kinora COMMAND --help says more; kinora --version prints the version.`
}

process.exitCode = await main(process.argv.slice(2))
