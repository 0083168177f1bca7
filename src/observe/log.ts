import { pino, type Logger } from 'pino'

/** A component's logger; JSON lines on standard output. Passed in, never imported. */
export type Log = Logger

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export function createLog(level: LogLevel, destination?: NodeJS.WritableStream): Log {
  const options = {
    level,
    base: { service: 'kinora' },
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    // A last net: keys with these names never reach the log, wherever they come from.
    redact: ['*.publishKey', '*.secretAccessKey', '*.secret', '*.token', '*.password'],
  }
  return destination === undefined ? pino(options) : pino(options, destination)
}

export const silentLog: Log = pino({ level: 'silent' })
