// Writes the generated pages of docs/ref/ from the compiled code. test/docs checks that they are
// up to date.
import { writeFileSync } from 'node:fs'
import { build } from './build.mjs'

build({ onlyIfStale: true })
const { toConfigReference } = await import('../dist/config/index.js')
const { toOperationsReference } = await import('../dist/api/kinesis-video/operations-reference.js')
const { toMetricsReference } = await import('../dist/observe/metrics-reference.js')
writeFileSync('docs/ref/config.md', toConfigReference())
writeFileSync('docs/ref/metrics.md', await toMetricsReference())
writeFileSync('docs/ref/kinesis-video-operations.md', toOperationsReference())
