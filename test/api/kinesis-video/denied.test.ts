import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parsePolicy, signRequest, type Policy } from '../../../src/api/auth/index.ts'
import { createCallRates } from '../../../src/api/kinesis-video/index.ts'
import { operations } from '../../../src/api/kinesis-video/operations.ts'
import { createMetrics } from '../../../src/observe/metrics.ts'
import { openAuditFile } from '../../../src/observe/audit-file.ts'
import { createAuditLog } from '../../../src/observe/audit-log.ts'
import { silentLog } from '../../../src/observe/log.ts'
import { systemClock } from '../../../src/platform/clock.ts'
import { scratchDirectory } from '../../support/scratch.ts'
import { ACCESS_KEY, Producer, runKinesisVideoApi, SECRET_ARN } from './running-video-api.ts'

const StreamName = 'x'
const ARN = 'arn:aws:kinesisvideo:us-west-2:123456789012'
const ResourceARN = `${ARN}:stream/x/1700000000000`
const ChannelARN = `${ARN}:channel/c/1700000000000`
const range = { StartTimestamp: 1_700_000_000, EndTimestamp: 1_700_000_100 }
const Tags = [{ Key: 'a', Value: 'b' }]

/** A valid input of each operation: what is not valid is refused before anybody is asked. */
const INPUTS: Readonly<Record<string, object>> = {
  CreateSignalingChannel: { ChannelName: 'c' },
  CreateStream: { StreamName, DataRetentionInHours: 1 },
  DeleteEdgeConfiguration: { StreamName },
  DeleteSignalingChannel: { ChannelARN },
  DeleteStream: { StreamARN: ResourceARN },
  DescribeEdgeConfiguration: { StreamName },
  DescribeImageGenerationConfiguration: { StreamName },
  DescribeMappedResourceConfiguration: { StreamName },
  DescribeMediaStorageConfiguration: { ChannelName: 'c' },
  DescribeNotificationConfiguration: { StreamName },
  DescribeSignalingChannel: { ChannelName: 'c' },
  DescribeStream: { StreamName },
  DescribeStreamStorageConfiguration: { StreamName },
  GetDataEndpoint: { StreamName, APIName: 'PUT_MEDIA' },
  GetSignalingChannelEndpoint: { ChannelARN },
  ListEdgeAgentConfigurations: { HubDeviceArn: 'arn:aws:iot:us-west-2:123456789012:thing/hub' },
  ListSignalingChannels: {},
  ListStreams: {},
  ListTagsForResource: { ResourceARN: ChannelARN },
  ListTagsForStream: { StreamName },
  StartEdgeConfigurationUpdate: {
    StreamName,
    EdgeConfig: {
      HubDeviceArn: 'arn:aws:iot:us-west-2:123456789012:thing/hub',
      RecorderConfig: {
        MediaSourceConfig: { MediaUriSecretArn: `${SECRET_ARN}yard`, MediaUriType: 'RTSP_URI' },
      },
    },
  },
  TagResource: { ResourceARN: ChannelARN, Tags },
  TagStream: { StreamName, Tags: { a: 'b' } },
  UntagResource: { ResourceARN: ChannelARN, TagKeyList: ['a'] },
  UntagStream: { StreamName, TagKeyList: ['a'] },
  UpdateDataRetention: {
    ...{ StreamName, CurrentVersion: 'v', Operation: 'INCREASE_DATA_RETENTION' },
    DataRetentionChangeInHours: 1,
  },
  UpdateImageGenerationConfiguration: { StreamName },
  UpdateMediaStorageConfiguration: {
    ...{ ChannelARN, MediaStorageConfiguration: { Status: 'DISABLED' } },
  },
  UpdateNotificationConfiguration: { StreamName },
  UpdateSignalingChannel: { ChannelARN, CurrentVersion: 'v' },
  UpdateStream: { StreamName, CurrentVersion: 'v', MediaType: 'video/h264' },
  UpdateStreamStorageConfiguration: {
    ...{ StreamName, CurrentVersion: 'v' },
    StreamStorageConfiguration: { DefaultStorageTier: 'HOT' },
  },
  GetMedia: { StreamName, StartSelector: { StartSelectorType: 'NOW' } },
  ListFragments: { StreamName },
  GetMediaForFragmentList: { StreamName, Fragments: ['91343852333181432392682062607459138'] },
  GetClip: {
    StreamName,
    ClipFragmentSelector: { FragmentSelectorType: 'SERVER_TIMESTAMP', TimestampRange: range },
  },
  GetImages: { StreamName, ImageSelectorType: 'SERVER_TIMESTAMP', ...range, Format: 'JPEG' },
  GetIceServerConfig: { ChannelARN },
  SendAlexaOfferToMaster: { ChannelARN, SenderClientId: 'a', MessagePayload: 'b' },
  JoinStorageSession: { channelArn: ChannelARN },
  JoinStorageSessionAsViewer: { channelArn: ChannelARN, clientId: 'a' },
  GetHLSStreamingSessionURL: { StreamName },
  GetDASHStreamingSessionURL: { StreamName },
}

type Answer = { readonly status: number; readonly type: string | null; readonly text: string }

/** One signed call by path, as any client would make it. */
async function call(port: number, path: string, input: object): Promise<Answer> {
  const body = Buffer.from(JSON.stringify(input))
  const headers = { host: `127.0.0.1:${port}`, 'content-type': 'application/json' }
  const signed = signRequest({ method: 'POST', target: path, headers }, body, {
    ...{ key: ACCESS_KEY, region: 'eu-west-1', service: 'kinesisvideo', now: new Date() },
  })
  const url = `http://127.0.0.1:${port}${path}`
  const response = await fetch(url, { method: 'POST', headers: { ...headers, ...signed }, body })
  return {
    status: response.status,
    type: response.headers.get('x-amzn-errortype'),
    text: await response.text(),
  }
}

function policyOf(...Statement: object[]): Policy {
  return parsePolicy(JSON.stringify({ Statement })) as Policy
}

/** The model of each operation declares one of them. */
const DENIED = /^(AccessDenied|NotAuthorized)Exception$/
const ALLOW = { Effect: 'Allow', Action: '*', Resource: '*' }

describe('policies', () => {
  test('deny each operation by its name', async () => {
    let policy = policyOf()
    const { port } = await runKinesisVideoApi(new Map(), { identityPolicies: () => policy })

    for (const { name, path } of operations.values()) {
      expect(INPUTS, `an input for ${name}`).toHaveProperty(name)
      policy = policyOf(ALLOW, { ...ALLOW, Effect: 'Deny', Action: `kinesisvideo:${name}` })
      const { status, type, text } = await call(port, path, INPUTS[name]!)

      // Clients of WebRTC storage alone know 403.
      expect([name, name.startsWith('Join') ? 403 : 401]).toEqual([name, status])
      expect([name, type]).toEqual([name, expect.stringMatching(DENIED)])
      expect(text).toContain(`not authorized to perform: kinesisvideo:${name} on resource`)
    }
    policy = policyOf(ALLOW, { ...ALLOW, Effect: 'Deny', Action: 'kinesisvideo:PutMedia' })
    const producer = await Producer.open(port)
    producer.end()
    const answer = await producer.answered
    expect(answer.statusCode).toBe(401)
    expect(answer.headers['x-amzn-errortype']).toMatch(DENIED)
  })

  test('allow streams by the beginning of their names', async () => {
    const Resource = 'arn:aws:kinesisvideo:*:*:stream/cam-*'
    const policy = policyOf({ ...ALLOW, Action: 'kinesisvideo:Get*', Resource })
    const { port, registry } = await runKinesisVideoApi(new Map(), {
      identityPolicies: () => policy,
    })
    await registry.create({ name: 'cam-yard', retentionHours: 1 })
    const ask = (StreamName: string) =>
      call(port, '/getMediaForFragmentList', { StreamName, Fragments: ['1'] })

    expect((await ask('cam-yard')).status).not.toBe(401)
    expect((await ask('x')).type).toMatch(DENIED)
    // What does not exist tells its name to nobody who may not see it.
    expect((await ask('dog')).type).toMatch(DENIED)
    expect((await ask('cam-none')).type).toBe('ResourceNotFoundException')
  })
})

test('calls above their rate are refused as the service does', async () => {
  const rates = createCallRates(
    [{ operations: ['ListEdgeAgentConfigurations'], per: 'account', callsPerSecond: 0.001 }],
    { clock: systemClock, metrics: createMetrics() },
  )
  const { port } = await runKinesisVideoApi(new Map(), { callRates: rates })
  const list = () => call(port, '/listEdgeAgentConfigurations', INPUTS.ListEdgeAgentConfigurations!)

  expect((await list()).status).toBe(200)
  expect(await list()).toMatchObject({
    ...{ status: 400, type: 'ClientLimitExceededException' },
    text: expect.stringContaining('throttled') as string,
  })
})

test('a foreign page cannot call the open API, this machine can', async () => {
  const { port } = await runKinesisVideoApi(new Map(), { openTo: ['127.0.0.1'] })
  const post = (headers: Record<string, string>) =>
    fetch(`http://127.0.0.1:${port}/listEdgeAgentConfigurations`, {
      ...{ method: 'POST', body: JSON.stringify(INPUTS.ListEdgeAgentConfigurations), headers },
    })

  expect((await post({})).status).toBe(200)
  expect((await post({ origin: 'https://evil.example' })).status).toBe(401)
})

test('the audit log tells of calls as they ended', async () => {
  const path = join(await scratchDirectory(), 'audit.log')
  const metrics = createMetrics()
  const sink = openAuditFile({
    ...{ path, maxFileBytes: 1_000_000, maxFiles: 2, metrics, log: silentLog },
  })
  const include = ['changes', 'reads', 'data'] as const
  const audit = createAuditLog({ include, sink, metrics, now: systemClock.now() })
  const { port, api } = await runKinesisVideoApi(new Map(), { audit })
  const EdgeConfig = INPUTS.StartEdgeConfigurationUpdate as object
  await call(port, '/startEdgeConfigurationUpdate', EdgeConfig)
  await call(port, '/describeEdgeConfiguration', { StreamName: 'none' })
  const unsigned = Producer.unsigned(port, { 'x-amzn-stream-name': 'x' })
  unsigned.end()
  await unsigned.answered
  await api.close()
  await sink[Symbol.asyncDispose]()

  const text = await readFile(path, 'utf8')
  const lines = text.trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    {
      ...{ api: 'kinesis-video', operation: 'StartEdgeConfigurationUpdate', status: 200 },
      ...{ caller: ACCESS_KEY.accessKeyId, sourceIp: '127.0.0.1', outcome: 'OK' },
      resource: expect.stringMatching(/^arn:aws:kinesisvideo:.*:stream\/x\/\d+$/) as string,
    },
    { operation: 'DescribeEdgeConfiguration', status: 404, outcome: 'ResourceNotFoundException' },
    {
      ...{ operation: 'PutMedia', status: 403, caller: null, resource: null },
      outcome: 'MissingAuthenticationTokenException',
    },
  ])
  expect(text).not.toContain(ACCESS_KEY.secretAccessKey)
  expect(text).not.toContain('Signature')
  expect(text).not.toContain(SECRET_ARN)
})
