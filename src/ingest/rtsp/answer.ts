import type { OutgoingHeaders } from './message.ts'

/** How a request ends: what the peer is told, and what we tell of it. */
export type RtspAnswer = {
  readonly status: number
  readonly reason?: string
  readonly headers?: OutgoingHeaders
  /** The connection ends after the answer. */
  readonly closes?: boolean
  /** To be reported: why this peer does not publish. */
  readonly refusal?: RefusalReason
  readonly detail?: string
}

export type RefusalReason = 'unauthorized' | 'too-many-failures' | 'busy' | 'failed' | 'play'
