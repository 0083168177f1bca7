import { integer, required, string, structure } from '../../aws/input-schema.ts'
import { toEdgeRecord } from './edge-configuration.ts'
import { defineOperation } from '../operation.ts'
import { nextToken, pageOf } from '../paged-list.ts'

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
    NextToken: nextToken,
  }),
  resource: () => '*',
  handle: async ({ HubDeviceArn, MaxResults = DEFAULT_RESULTS, NextToken }, { service }) => {
    const found = (await service.edgeConfigurations.list())
      .filter(({ terms }) => (terms as { HubDeviceArn: string }).HubDeviceArn === HubDeviceArn)
      .flatMap((configuration) => {
        const info = service.registry.findById(configuration.streamId)
        return info === null ? [] : [{ name: info.name, info, configuration }]
      })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    const { page, next } = pageOf(found, {
      sealer: service.sealer,
      question: `ListEdgeAgentConfigurations of ${HubDeviceArn}`,
      maxResults: MaxResults,
      token: NextToken,
    })
    return {
      EdgeConfigs: page.map(({ info, configuration }) =>
        toEdgeRecord(service, info, configuration),
      ),
      ...next,
    }
  },
})

const DEFAULT_RESULTS = 5
