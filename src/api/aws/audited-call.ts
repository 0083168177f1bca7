import type { AuditEntry, AuditLog } from '../../observe/audit-log.ts'
import type { Clock } from '../../platform/clock.ts'
import type { Circumstances } from '../auth/index.ts'

/** A call while it is being answered: what is known of it by now, for the audit log. */
export class AuditedCall {
  readonly circumstances: Circumstances
  readonly #options: AuditedCallOptions
  operation = '?'
  /** ARN, `*` for an operation about nothing that exists. */
  resource: string | null = null
  /** Access key id, once it was verified. */
  caller: string | null = null
  /** The error's name when it was refused. */
  outcome = 'OK'

  constructor(circumstances: Circumstances, options: AuditedCallOptions) {
    this.circumstances = circumstances
    this.#options = options
  }

  /** It is answered, with this status. */
  end(status: number): void {
    const { audit, clock, api, requestId } = this.#options
    const { at, sourceIp, userAgent } = this.circumstances
    const { operation, resource, caller, outcome } = this
    const durationMs = Math.max(0, clock.now() - at)
    audit.record({
      ...{ at, api, operation, resource, caller, sourceIp, userAgent },
      ...{ status, outcome, durationMs, requestId },
    })
  }
}

export type AuditedCallOptions = Pick<AuditEntry, 'api' | 'requestId'> & {
  readonly audit: AuditLog
  readonly clock: Clock
}
