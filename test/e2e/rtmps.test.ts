import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isInstalled } from '../support/installed.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { freePort, ROOT, startService } from '../support/service.ts'

const KEY = 'correct-horse'
const CLIP = join(ROOT, 'fixtures/moving-shapes.mp4')

describe.runIf(isInstalled('ffmpeg', '-version') && isInstalled('openssl', 'version'))(
  'the service',
  () => {
    test('takes streams over RTMP and RTMPS at the ports of its configuration', async () => {
      const directory = await scratchDirectory()
      const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
      spawnSync('openssl', [
        ...'req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost'.split(' '),
        ...['-keyout', keyFile, '-out', certFile],
      ])
      const tlsPort = await freePort()
      const service = await startService(directory, {
        detection: { enabled: false },
        streams: ['plain', 'secure'].map((name) => ({ name, publishKey: KEY })),
        rtmp: { tlsPort, tlsCertFile: certFile, tlsKeyFile: keyFile },
      })
      const publish = async (url: string) => {
        const args = ['-v', 'error', '-nostdin', '-i', CLIP, '-c', 'copy', '-f', 'flv', url]
        const child = spawn('ffmpeg', args, { stdio: 'inherit' })
        const [code] = (await once(child, 'exit')) as [number | null]
        return code
      }

      expect(await publish(`${service.rtmpUrl}/plain?key=${KEY}`)).toBe(0)
      expect(await publish(`rtmps://127.0.0.1:${tlsPort}/live/secure?key=${KEY}`)).toBe(0)
      expect(await service.end('SIGTERM')).toBe(0)

      const ended = service.log.filter(({ msg }) => msg === 'ingest session ended')
      expect(ended).toMatchObject([
        { stream: 'plain', protocol: 'rtmp', reason: 'unpublished' },
        { stream: 'secure', protocol: 'rtmps', reason: 'unpublished' },
      ])
      expect(service.log.some(({ level }) => Number(level) >= 50 || level === 'error')).toBe(false)
    })
  },
)
