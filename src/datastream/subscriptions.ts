import { ServiceError } from '../domain/errors.ts'
import type { EpochMs } from '../domain/time.ts'
import type { Clock } from '../platform/clock.ts'

/** So long after a subscription was made, no other one of the same consumer takes it over. */
const TAKEOVER_AFTER_MS = 5_000

type Current = {
  readonly madeAt: EpochMs
  readonly takenOver: AbortController
  isOver: boolean
}

/**
 * Who is subscribed to what: one subscription per consumer and shard. A later one takes over from
 * the one before, which ends with `ResourceInUseException`; within five seconds it is refused, even
 * when the one before is over already (KDS API: SubscribeToShard).
 */
export class Subscriptions {
  readonly #clock: Clock
  readonly #current = new Map<string, Current>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * @param of names the consumer and the shard; it appears in messages
   * @throws `conflict`/`ResourceInUseException`
   */
  open(of: string): { readonly takenOver: AbortSignal; readonly close: () => void } {
    const madeAt = this.#clock.now()
    const before = this.#current.get(of)
    if (before !== undefined && madeAt - before.madeAt < TAKEOVER_AFTER_MS) {
      throw inUse(`Another active subscription exists for this consumer: ${of}`)
    }
    before?.takenOver.abort(inUse(`Another subscription took over for this consumer: ${of}`))
    for (const [name, other] of this.#current) {
      if (other.isOver && madeAt - other.madeAt >= TAKEOVER_AFTER_MS) this.#current.delete(name)
    }
    const current: Current = { madeAt, takenOver: new AbortController(), isOver: false }
    this.#current.set(of, current)
    const close = () => {
      current.isOver = true
    }
    return { takenOver: current.takenOver.signal, close }
  }

  /** Those of a consumer that is no more. @param prefix of their names */
  endAll(prefix: string, reason: ServiceError): void {
    for (const [of, { takenOver }] of this.#current) {
      if (!of.startsWith(prefix)) continue
      this.#current.delete(of)
      takenOver.abort(reason)
    }
  }
}

function inUse(message: string): ServiceError {
  return new ServiceError('conflict', 'ResourceInUseException', message)
}
