// The unmodified SDK as a client: what it sends by default, over one shared HTTP/2 connection.
import { KinesisClient, PutRecordCommand, PutRecordsCommand } from '@aws-sdk/client-kinesis'
import { NodeHttp2Handler } from '@smithy/node-http-handler'
import { BENCH_KEY } from './lean-client.mjs'

export function sdkPutter(port, requests) {
  const client = new KinesisClient({
    ...{ endpoint: `http://127.0.0.1:${port}`, region: 'us-east-1', credentials: BENCH_KEY },
    // By default the SDK opens a connection for each request.
    requestHandler: new NodeHttp2Handler({ disableConcurrentStreams: false }),
  })
  const commands = requests.map(({ operation, input }) =>
    operation === 'PutRecord'
      ? new PutRecordCommand(toBytes(input))
      : new PutRecordsCommand({ ...input, Records: input.Records.map(toBytes) }),
  )
  return (_loop, i) => client.send(commands[i % commands.length])
}

function toBytes(record) {
  return { ...record, Data: Buffer.from(record.Data, 'base64') }
}
