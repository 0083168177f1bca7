import { join } from 'node:path'
import type { Config } from './config/index.ts'
import { createStandardOutputSink, openAuditFile } from './observe/audit-file.ts'
import { createAuditLog, noAuditLog, type AuditLog } from './observe/audit-log.ts'
import type { Log } from './observe/log.ts'
import type { Metrics } from './observe/metrics.ts'
import type { Clock } from './platform/clock.ts'

/** The audit log as it is configured; disposal writes what waits. */
export function openAudit(
  { audit, dataDirectory }: Config,
  { metrics, log, clock }: { readonly metrics: Metrics; readonly log: Log; readonly clock: Clock },
): AuditLog & AsyncDisposable {
  const { to, include, maxFileBytes, maxFiles } = audit
  if (to === 'off') return { ...noAuditLog, [Symbol.asyncDispose]: async () => undefined }
  const path = join(dataDirectory, 'audit.log')
  const sink =
    to === 'file'
      ? openAuditFile({ path, maxFileBytes, maxFiles, metrics, log })
      : createStandardOutputSink()
  return {
    ...createAuditLog({ include, sink, metrics, now: clock.now() }),
    [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
  }
}
