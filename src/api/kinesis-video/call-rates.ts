import { ServiceError } from '../../domain/errors.ts'
import type { Metrics } from '../../observe/metrics.ts'
import type { Clock } from '../../platform/clock.ts'
import { limitCalls, type CallRate, type CallRates } from '../aws/call-rates.ts'

export type { CallRate, CallRates } from '../aws/call-rates.ts'

/**
 * The service's own rates (developer guide, "Amazon Kinesis Video Streams service quotas"; API
 * reference of the operations).
 */
export const DOCUMENTED_RATES: readonly CallRate[] = [
  { operations: ['*'], per: 'account', callsPerSecond: 50 },
  { operations: ['*'], per: 'stream', callsPerSecond: 5 },
  { operations: ['DescribeStream', 'GetDataEndpoint'], per: 'account', callsPerSecond: 300 },
  ...[
    'StartEdgeConfigurationUpdate',
    'DescribeEdgeConfiguration',
    'DeleteEdgeConfiguration',
    'ListEdgeAgentConfigurations',
  ].flatMap((name): CallRate[] => [
    { operations: [name], per: 'account', callsPerSecond: 10 },
    { operations: [name], per: 'stream', callsPerSecond: 1 },
  ]),
  // The data operations are limited by stream alone.
  ...[
    'PutMedia',
    'GetMedia',
    'ListFragments',
    'GetMediaForFragmentList',
    'GetClip',
    'GetImages',
  ].map((name): CallRate => ({ operations: [name], per: 'account', callsPerSecond: Infinity })),
  ...['GetHLSStreamingSessionURL', 'GetDASHStreamingSessionURL'].flatMap((name): CallRate[] => [
    { operations: [name], per: 'account', callsPerSecond: Infinity },
    { operations: [name], per: 'stream', callsPerSecond: 25 },
  ]),
  // What a session's URLs lead to is limited by session.
  ...[
    { names: ['GetMP4MediaFragment', 'GetTSFragment'], callsPerSecond: 20 },
    {
      names: [
        'GetHLSMasterPlaylist',
        'GetHLSMediaPlaylist',
        'GetDASHManifest',
        'GetMP4InitFragment',
      ],
      callsPerSecond: 5,
    },
  ].flatMap(({ names, callsPerSecond }) =>
    names.flatMap((name): CallRate[] => [
      { operations: [name], per: 'account', callsPerSecond: Infinity },
      { operations: [name], per: 'stream', callsPerSecond },
    ]),
  ),
]

/** A call beyond them is counted and refused: `limit-exceeded`/`ClientLimitExceededException`. */
export function createCallRates(
  rates: readonly CallRate[],
  { clock, metrics }: { readonly clock: Clock; readonly metrics: Metrics },
): CallRates {
  return limitCalls(rates, {
    clock,
    refusal: (operation) => {
      metrics.httpThrottled.inc({ edge: 'kinesis-video', operation })
      return new ServiceError('limit-exceeded', 'ClientLimitExceededException', MESSAGE)
    },
  })
}

const MESSAGE =
  'Kinesis Video Streams has throttled the request because you have exceeded the limit of allowed ' +
  'client calls. Try making the call later.'
