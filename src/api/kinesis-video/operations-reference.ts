import type { Operation } from './operation.ts'
import { operationsByApi, putMediaOperation } from './operations.ts'

type Row = Pick<Operation, 'name' | 'path' | 'isAvailable' | 'differs'>

/** docs/ref/kinesis-video-operations.md: every operation, whether it is served, and how it differs. */
export function toOperationsReference(): string {
  const { control, media, signaling } = operationsByApi
  return `# Operations of the Kinesis Video APIs

All are at \`POST <path>\` on the HTTP port, whichever client they belong to. [Kinesis Video Streams API](kinesis-video.md) has the details.

${section('Control: `client-kinesis-video`', control)}
${section('Producers: in no SDK but that for Java 1', [putMediaOperation])}
${section('Media: `client-kinesis-video-media`', media)}
${section('Archived media: `client-kinesis-video-archived-media`', operationsByApi['archived media'])}
${section('Signaling: `client-kinesis-video-signaling`', signaling)}
${section('WebRTC storage: `client-kinesis-video-webrtc-storage`', operationsByApi['WebRTC storage'])}`
}

function section(title: string, operations: readonly Row[]): string {
  const rows = operations
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, path, isAvailable, differs }) => {
      const supported = isAvailable ? 'yes' : 'no'
      return `| ${name} | \`${path}\` | ${supported} | ${differs?.replaceAll('|', '\\|') ?? ''} |`
    })
  return `## ${title}

| operation | path | supported | differs |
| --- | --- | --- | --- |
${rows.join('\n')}
`
}
