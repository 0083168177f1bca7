import { pino, type Logger } from 'pino'
import { RepeatLimit } from './limit-repeats.ts'

/** A component's logger; JSON lines on standard output. Passed in, never imported. */
export type Log = Logger

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

const WARN = pino.levels.values.warn!

export function createLog(level: LogLevel, destination?: NodeJS.WritableStream): Log {
  const limit = new RepeatLimit()
  const options = {
    level,
    base: { service: 'kinora' },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    // A last net: keys with these names never reach the log, wherever they come from.
    redact: ['*.publishKey', '*.secretAccessKey', '*.secret', '*.token', '*.password'],
    hooks: {
      // What peers and disks can bring about is bounded; what the service does of itself is rare.
      logMethod(this: Logger, args: unknown[], write: (...args: never) => void, value: number) {
        const now = Date.now() // of the lines, whose time is the system's too
        for (const leftOut of limit.takeLeftOut(now)) this.warn(leftOut, 'repeated lines left out')
        const text = args.find((arg) => typeof arg === 'string') ?? ''
        if (value < WARN || limit.admits(text, now)) write.apply(this, args as never)
      },
    },
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}

export const silentLog: Log = pino({ level: 'silent' })
