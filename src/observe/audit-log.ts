import type { EpochMs } from '../domain/time.ts'
import { TokenBucket } from '../platform/token-bucket.ts'
import type { LineSink } from './audit-file.ts'
import type { Metrics } from './metrics.ts'

/** One answered call. Never has it secrets, queries or bodies. */
export type AuditEntry = {
  readonly at: EpochMs
  readonly api: 'kinesis-video' | 'kinesis' | 'control'
  /** The operation's name; of the control API method and path pattern. */
  readonly operation: string
  /** ARN or path; `null` when it was not understood so far. */
  readonly resource: string | null
  /** Access key id, or `admin`; `null` when nobody was recognised. */
  readonly caller: string | null
  readonly sourceIp: string | null
  readonly userAgent: string | null
  readonly status: number
  /** `OK` or the error's name. */
  readonly outcome: string
  readonly durationMs: number
  readonly requestId: string
}

/** What calls there are, besides those refused for who made them, which are always told. */
export type CallClass = 'changes' | 'reads' | 'data'

export interface AuditLog {
  /** Whether calls like this are told at all. */
  readonly includes: (operation: string) => boolean
  /** Never throws and never waits. */
  record(entry: AuditEntry): void
}

/** Entries of unrecognised callers per second: they must not push the others out of the files. */
const STRANGERS_PER_SECOND = 10
const MAX_TEXT = 512

/**
 * Who did what, on what, from where, when, and how it ended: one JSON line per call. The classes
 * that are included, and every refused call of any class.
 */
export function createAuditLog(options: {
  readonly include: readonly CallClass[]
  readonly sink: LineSink
  readonly metrics: Metrics
  readonly now: EpochMs
}): AuditLog {
  const { sink, metrics } = options
  const included = new Set(options.include)
  const strangers = new TokenBucket(STRANGERS_PER_SECOND, options.now)
  const includes = (operation: string) => included.has(classOf(operation))
  return {
    includes,
    record(entry) {
      if (!REFUSED.has(entry.status) && !includes(entry.operation)) return
      if (entry.caller === null) {
        if (!strangers.admits(1, entry.at)) {
          metrics.auditDropped.inc({ reason: 'strangers' })
          return
        }
        strangers.take(1, entry.at)
      }
      sink.write(toLine(entry))
    },
  }
}

/** Unauthenticated or not allowed. */
const REFUSED: ReadonlySet<number> = new Set([401, 403])

/** By the names that both services and HTTP give their operations. */
export function classOf(operation: string): CallClass {
  if (/^(PutRecords?|GetRecords|SubscribeToShard|PutMedia|GetMedia\w*)$/.test(operation)) {
    return 'data'
  }
  return /^(Get|List|Describe|GET |HEAD )/.test(operation) ? 'reads' : 'changes'
}

function toLine({ at, resource, userAgent, ...rest }: AuditEntry): string {
  const time = new Date(at).toISOString()
  return `${JSON.stringify({
    ...{ time, ...rest },
    resource: resource?.slice(0, MAX_TEXT) ?? null,
    userAgent: userAgent?.slice(0, MAX_TEXT) ?? null,
  })}\n`
}

export const noAuditLog: AuditLog = { includes: () => false, record: () => undefined }
