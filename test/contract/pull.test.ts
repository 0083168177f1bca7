import { pullOf } from '../../src/ingest/index.ts'
import { describePull } from './pull.contract.ts'

for (const scheme of ['rtsp', 'rtmp', 'http']) {
  describePull(scheme, pullOf(new URL(`${scheme}://camera.test/`)))
}
