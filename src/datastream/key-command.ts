import { execFile } from 'node:child_process'
import { ServiceError } from '../domain/errors.ts'
import type { KeyWrapper } from './master-keys.ts'

export type KeyCommandOptions = {
  /** It is killed after so long. */
  readonly timeoutMs: number
}

const DEFAULTS: KeyCommandOptions = { timeoutMs: 10_000 }
const MAX_OUTPUT_BYTES = 16 * 1024
const DATA_KEY = /^[0-9a-f]{64}$/i
/** One word: it is stored in a row and given back as it came. */
const WRAPPED = /^[!-~]{1,8192}$/

/**
 * A master key that stays with somebody else (a KMS, an HSM): data keys are wrapped by a command of
 * the operator's. It is run without a shell, one at a time, its last argument `wrap` or `unwrap`:
 *
 * ```
 * COMMAND… wrap      input: 64 hexadecimal digits   output: one word, at most 8,192 characters
 * COMMAND… unwrap    input: that word               output: the 64 hexadecimal digits
 * ```
 *
 * A status other than 0, other output, or silence for too long fail the call and nothing else: they are
 * `unavailable`/`KMSInvalidStateException`. What the command writes as its error is the cause's message.
 *
 * @param command the program and its first arguments
 */
export function createKeyCommand(
  command: readonly string[],
  options: Partial<KeyCommandOptions> = {},
): KeyWrapper {
  const [program, ...args] = command
  if (program === undefined) throw new RangeError('a command has a program')
  const { timeoutMs } = { ...DEFAULTS, ...options }
  let turn: Promise<unknown> = Promise.resolve()

  async function ask(action: 'wrap' | 'unwrap', input: string, wanted: RegExp): Promise<string> {
    const mine = turn.then(() => run(program!, [...args, action], input, timeoutMs))
    turn = mine.catch(() => undefined) // its caller hears of it; the next is run all the same
    const output = await mine.catch((cause: unknown) => {
      throw failed(action, cause)
    })
    if (!wanted.test(output)) throw failed(action, new Error('it printed something else'))
    return output
  }

  return {
    wrap: (dataKey) => ask('wrap', Buffer.from(dataKey).toString('hex'), WRAPPED),
    unwrap: async (wrapped) => Buffer.from(await ask('unwrap', wrapped, DATA_KEY), 'hex'),
  }
}

/** @returns what it printed, without white space around it */
async function run(
  program: string,
  args: readonly string[],
  input: string,
  timeoutMs: number,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      args,
      { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES },
      (error, output) => {
        if (error === null) resolve(output.trim())
        else reject(error)
      },
    )
    child.stdin!.on('error', () => undefined) // it ended without reading: its status says why
    child.stdin!.end(`${input}\n`)
  })
}

function failed(action: string, cause: unknown): ServiceError {
  return new ServiceError(
    'unavailable',
    'KMSInvalidStateException',
    `The command that keeps the key could not ${action} a data key.`,
    { cause },
  )
}
