import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import * as control from '@aws-sdk/client-kinesis-video'
import * as archivedMedia from '@aws-sdk/client-kinesis-video-archived-media'
import * as media from '@aws-sdk/client-kinesis-video-media'
import { expect, test } from 'vitest'
import { operationsByApi } from '../../src/api/kinesis-video/operations.ts'
import { toOperationsReference } from '../../src/api/kinesis-video/operations-reference.ts'

const PAGE = resolve(import.meta.dirname, '../../docs/ref/kinesis-video-operations.md')

test('docs/ref/kinesis-video-operations.md is what the code says (node scripts/make-reference.mjs)', () => {
  expect(readFileSync(PAGE, 'utf8')).toBe(toOperationsReference())
})

test.each([
  { api: 'control', modelled: commandsOf(control), count: 32 },
  { api: 'media', modelled: commandsOf(media), count: 1 },
  { api: 'archived media', modelled: commandsOf(archivedMedia), count: 6 },
  // Their clients are not installed: there is nothing to call yet.
  { api: 'signaling', modelled: ['GetIceServerConfig', 'SendAlexaOfferToMaster'], count: 2 },
  {
    api: 'WebRTC storage',
    modelled: ['JoinStorageSession', 'JoinStorageSessionAsViewer'],
    count: 2,
  },
] as const)('$api has the operations of its client, and no others', ({ api, modelled, count }) => {
  const served = operationsByApi[api].map(({ name }) => name)

  expect(modelled).toHaveLength(count)
  expect(served.toSorted()).toEqual(modelled.toSorted())
})

test('the table has each operation once, and says what it is worth', () => {
  const rows = [...toOperationsReference().matchAll(/^\| (\w+) \| `([^`]+)` \| (yes|no) \|/gm)]
  const names = rows.map(([, name]) => name)

  expect(rows).toHaveLength(44)
  expect(new Set(names).size).toBe(44)
  expect(names).toContain('PutMedia')
  expect(rows.filter(([, , , supported]) => supported === 'no').map(([, name]) => name)).toEqual([
    'GetIceServerConfig',
    'SendAlexaOfferToMaster',
    'JoinStorageSession',
    'JoinStorageSessionAsViewer',
  ])
})

/** Names of what a client module can be told to do. */
function commandsOf(client: object): readonly string[] {
  return Object.keys(client)
    .filter((name) => /^[A-Z]\w+Command$/.test(name) && !name.startsWith('$'))
    .map((name) => name.replace(/Command$/, ''))
}
