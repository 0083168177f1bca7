/** What the control API answers, as far as the console shows it. Times in `archive` are epoch ms. */
export type StreamStatus = {
  readonly name: string
  readonly createdAt: string
  readonly retentionHours: number
  readonly state: 'live' | 'idle'
  readonly session: SessionStatus | null
  /** Of a pulled camera. */
  readonly source: SourceStatus | null
  readonly archive: {
    readonly chunks: number
    readonly bytes: number
    readonly oldest: number | null
    readonly newest: number | null
  }
}

export type SessionStatus = {
  readonly protocol: string
  readonly peer: string
  readonly startedAt: string
  readonly tracks: readonly TrackStatus[]
  readonly bitrateBps: number
  readonly framesPerSecond: number
  readonly gop: { readonly lastMs: number; readonly maxMs: number } | null
  readonly clock: {
    readonly source: 'arrival' | 'sender-report'
    readonly driftPpm: number | null
  } | null
  /** Of RTP. */
  readonly transport: {
    readonly lower: 'tcp' | 'udp'
    readonly packetsReceived: number
    readonly packetsLost: number
    readonly jitterMs: number
  } | null
  /** Places where media was lost on its way. */
  readonly losses: number
  /** Samples that were not stored, by reason. */
  readonly dropped: Readonly<Record<string, number>>
  readonly reconnects: { readonly count: number; readonly lastReason: string | null }
}

export type SourceStatus = {
  readonly state: 'connecting' | 'publishing' | 'waiting' | 'disabled'
  readonly nextAttemptAt: string | null
  readonly failedAttempts: number
  readonly lastFailure: { readonly reason: string; readonly message: string } | null
}

export type TrackStatus = {
  readonly kind: string
  readonly codecId: string
  /** RFC 6381, such as avc1.64001f. */
  readonly codec: string
  readonly widthPx?: number
  readonly heightPx?: number
  readonly sampleRateHz?: number
  readonly channels?: number
}

export type Box = {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

export type Detection = { readonly label: string; readonly score: number; readonly box: Box }

/** See docs/ref/detection-record.md. */
export type DetectionRecord = {
  readonly id: string
  readonly streamName: string
  readonly frameTimestamp: string
  readonly model: { readonly name: string }
  readonly detections: readonly Detection[]
  readonly imageUrl: string
}

export type ServiceStatus = {
  readonly version: string
  readonly publicUrl: string
  readonly rtmpUrl: string | null
  readonly model: { readonly name: string; readonly labels: readonly string[] } | null
  readonly hooks: readonly HookStatus[]
}

export type HookStatus = {
  readonly name: string
  readonly waiting: number
  readonly delivered: number
  readonly failed: number
  readonly disabled: boolean
}

export type CreatedStream = {
  readonly stream: StreamStatus
  readonly publishKey: string
  readonly publishUrl: string | null
}
