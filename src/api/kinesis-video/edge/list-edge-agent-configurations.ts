import { integer, required, string, structure } from '../../aws/input-schema.ts'
import { toEdgeRecord } from './edge-configuration.ts'
import { defineOperation } from '../operation.ts'
import { invalid } from '../stream-reference.ts'

/** The cameras of one edge agent, in order of their streams' names. */
export const listEdgeAgentConfigurations = defineOperation({
  name: 'ListEdgeAgentConfigurations',
  differs: null,
  input: structure({
    HubDeviceArn: required(
      string({
        min: 1,
        max: 1024,
        pattern: 'arn:[a-z\\d-]+:iot:[a-z0-9-]+:[0-9]+:thing/[a-zA-Z0-9_.-]+',
      }),
    ),
    MaxResults: integer({ min: 1, max: 10 }),
    NextToken: string({ min: 0, max: 1024, pattern: '[a-zA-Z0-9+/=]*' }),
  }),
  resource: () => '*',
  handle: async ({ HubDeviceArn, MaxResults = DEFAULT_RESULTS, NextToken = '' }, { service }) => {
    const after = NextToken === '' ? '' : readToken(NextToken)
    const found = (await service.edgeConfigurations.list())
      .filter(({ terms }) => (terms as { HubDeviceArn: string }).HubDeviceArn === HubDeviceArn)
      .map((configuration) => ({
        configuration,
        info: service.registry.findById(configuration.streamId),
      }))
      .filter(({ info }) => info !== null && info.name > after)
      .toSorted((a, b) => (a.info!.name < b.info!.name ? -1 : 1))
    const page = found.slice(0, MaxResults)
    return {
      EdgeConfigs: page.map(({ info, configuration }) =>
        toEdgeRecord(service, info!, configuration),
      ),
      ...(found.length > page.length && { NextToken: toToken(page.at(-1)!.info!.name) }),
    }
  },
})

const DEFAULT_RESULTS = 5

function toToken(name: string): string {
  return Buffer.from(name).toString('base64')
}

function readToken(token: string): string {
  const name = Buffer.from(token, 'base64').toString()
  if (/^[a-zA-Z0-9_.-]{1,256}$/.test(name)) return name
  throw invalid('The NextToken is not one of this operation.')
}
