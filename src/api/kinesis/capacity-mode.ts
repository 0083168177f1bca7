import { ServiceError } from '../../domain/errors.ts'
import { integer, oneOf, required, structure } from '../aws/input-schema.ts'
import type { KinesisService } from './operation.ts'
import { invalid } from './stream-address.ts'

export const streamModeDetails = structure({
  StreamMode: required(oneOf(['PROVISIONED', 'ON_DEMAND'])),
})
/** At most 10 GiB/s. */
export const warmThroughput = integer({ min: 0, max: 10_240 })
export const distributionStrategy = oneOf(['AUTO', 'USER_PARTITION_KEY'])

/** The shards of an on-demand stream are the service's own matter. */
export function refuseOnDemand(name: string, { dataStreams }: KinesisService): void {
  if (dataStreams.settings(name).mode === 'PROVISIONED') return
  throw new ServiceError(
    'invalid-argument',
    'ValidationException',
    `Request is invalid. Stream ${name} is in On-Demand mode.`,
    { context: { stream: name } },
  )
}

/** Warm throughput needs an on-demand stream and the commitment. */
export function refuseWarmThroughput(isOnDemand: boolean, { dataStreams }: KinesisService): void {
  if (!isOnDemand) throw invalid('WarmThroughputMiBps needs an on-demand stream.')
  if (!dataStreams.account.isCommitted) {
    throw invalid('WarmThroughputMiBps needs the minimum throughput commitment of the account.')
  }
}
