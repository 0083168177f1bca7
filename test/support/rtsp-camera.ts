import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { ROOT } from './service.ts'

/** Debian's, which has the bindings of GStreamer; another Python may come first in the path. */
const PYTHON = '/usr/bin/python3'

/** Whether {@link startRtspCamera} can work here; when not, says once why its suites are left out. */
export function hasRtspCamera(): boolean {
  const imports =
    'import gi; gi.require_version("GstRtspServer", "1.0"); from gi.repository import GstRtspServer'
  const { status } = spawnSync(PYTHON, ['-c', imports], { stdio: 'ignore' })
  if (status !== 0)
    console.warn('skipped: gst-rtsp-server with its Python bindings is not installed')
  return status === 0
}

/**
 * A camera at rtsp://127.0.0.1:PORT/live: H.264, 320x240, 15 frames a second, a key frame each second;
 * or what `pipeline` makes, whose payloaders are pay0, pay1, ...
 */
export async function startRtspCamera(options: {
  readonly port: number
  readonly username: string
  readonly password: string
  readonly method: 'digest' | 'basic'
  readonly pipeline?: string
}): Promise<RtspCamera> {
  const { port, username, password, method, pipeline } = options
  const more = pipeline === undefined ? [] : [pipeline]
  const script = join(ROOT, 'test/support/rtsp-camera.py')
  const child = spawn(PYTHON, [script, String(port), username, password, method, ...more], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  const first = await Promise.race([once(child.stdout, 'data'), ended])
  if (child.exitCode !== null) throw new Error(`the camera did not start: ${String(first)}`)
  return {
    process: child,
    url: `rtsp://127.0.0.1:${port}/live`,
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

export type RtspCamera = {
  readonly process: ChildProcess
  readonly url: string
  /** As when its power is cut. */
  kill(): Promise<void>
}
