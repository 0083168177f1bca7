import type { Archive } from '../../../archive/index.ts'
import type { Fragment } from '../../../domain/fragment.ts'
import type { StreamId } from '../../../domain/stream.ts'
import { fragmentPages, startOf, toKey, type FragmentKey } from '../../../playback/index.ts'
import { integer, structure } from '../../aws/input-schema.ts'
import { defineOperation } from '../operation.ts'
import { findStream, invalid, streamReference, streamResource } from '../stream-reference.ts'
import { measured } from './measured.ts'
import { nextToken, openPage, sealPage } from './page-token.ts'
import { fragmentSelector, toInclusiveRange, type InclusiveRange } from './timestamp-range.ts'

/** The persisted fragments that begin in a range, in its order. */
export const listFragments = defineOperation({
  name: 'ListFragments',
  differs:
    'Fragments come in the order of the selected clock. By producer time, a range that was sent again ' +
    'replaces the older one.',
  input: structure({
    ...streamReference,
    MaxResults: integer({ min: 1, max: 1000 }),
    NextToken: nextToken,
    FragmentSelector: fragmentSelector,
  }),
  resource: streamResource,
  handle: async (input, { service }) => {
    const { MaxResults = DEFAULT_RESULTS, NextToken, FragmentSelector, ...stream } = input
    const { archive, metrics, sealer } = service
    const info = findStream(service, stream)
    return measured(metrics, LIST, info, async () => {
      const place =
        NextToken === undefined
          ? { range: toRange(FragmentSelector), after: null }
          : (openPage(sealer, LIST, NextToken, info.streamId) as Place)
      const { fragments, more } = await readPage(archive, info.streamId, place, MaxResults)
      metrics.playbackFragmentsConsumed.inc(
        { stream: info.name, bucket: 'metadata' },
        fragments.length,
      )
      const after = more ? toKey(fragments.at(-1)!, place.range.by) : null
      return {
        Fragments: fragments
          .toSorted((a, b) => (a.fragmentNumber < b.fragmentNumber ? -1 : 1))
          .map(describe),
        ...(after !== null && {
          NextToken: sealPage(sealer, LIST, { ...place, after }, info.streamId),
        }),
      }
    })
  },
})

/** Not documented; botocore's examples show so many. */
const DEFAULT_RESULTS = 100
const LIST = 'ListFragments'

/** Where a page begins: a token's content. */
type Place = { readonly range: InclusiveRange; readonly after: FragmentKey | null }

function toRange(selector: Parameters<typeof toInclusiveRange>[0] | undefined): InclusiveRange {
  if (selector !== undefined) return toInclusiveRange(selector)
  throw invalid('Either the FragmentSelector or the NextToken must be given.')
}

async function readPage(
  archive: Archive,
  streamId: StreamId,
  { range, after }: Place,
  count: number,
): Promise<{ readonly fragments: readonly Fragment[]; readonly more: boolean }> {
  const { by, from, to } = range
  const fragments: Fragment[] = []
  const paged = { by, from, to: to + 1, after, pageSize: count + 1 }
  for await (const page of fragmentPages(archive, streamId, paged)) {
    // What began before the range and reaches into it is none of its fragments.
    fragments.push(...page.filter((fragment) => startOf(fragment, by) >= from))
    if (fragments.length > count) return { fragments: fragments.slice(0, count), more: true }
  }
  return { fragments, more: false }
}

function describe(fragment: Fragment): object {
  return {
    FragmentNumber: fragment.fragmentNumber,
    FragmentSizeInBytes: fragment.sizeBytes,
    ProducerTimestamp: fragment.producerTimestamp / 1000,
    ServerTimestamp: fragment.serverTimestamp / 1000,
    FragmentLengthInMilliseconds: fragment.durationMs,
  }
}
