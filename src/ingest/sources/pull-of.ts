import type { SourceScheme } from '../../domain/source-url.ts'
import { pullHttpFlv } from '../pull/pull-http-flv.ts'
import { pullRtmp } from '../pull/pull-rtmp.ts'
import { pullRtsp } from '../pull/pull-rtsp.ts'
import { PullError, type Pull } from '../pull/pull.ts'

/**
 * The pull for a source's URL.
 *
 * @throws PullError `failed` for a scheme that nothing pulls
 */
export function pullOf(url: URL): Pull {
  const scheme = url.protocol.slice(0, -1)
  const pull = PULLS[scheme as SourceScheme]
  if (pull === undefined) throw new PullError('failed', `Nothing here pulls ${scheme}.`)
  return pull
}

const PULLS: Partial<Record<SourceScheme, Pull>> = {
  rtsp: pullRtsp,
  rtsps: pullRtsp,
  rtmp: pullRtmp,
  rtmps: pullRtmp,
  http: pullHttpFlv,
  https: pullHttpFlv,
}
