import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLevelMetaStore } from '../../src/platform/meta-store.ts'
import { ROOT } from '../support/service.ts'

// What a user reads who starts the service where it cannot start: one line that names the setting
// or the file, no stack, exit code 1.

let directory: string
const listener = createServer()
let takenPort: number

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kinora-start-'))
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  takenPort = (listener.address() as AddressInfo).port
  await writeFile(join(directory, 'file'), 'no folder, no key, no model')
})
afterAll(async () => {
  listener.close()
  await rm(directory, { recursive: true })
})

const taken = () => String(takenPort)
const file = () => join(directory, 'file')

test.concurrent.each([
  {
    rule: 'the HTTP port is taken',
    settings: () => ({ KINORA_HTTP__PORT: taken() }),
    says: /^kinora serve: http\.host, http\.port: 127\.0\.0\.1:\d+ is in use/,
  },
  {
    rule: 'the RTMP port is taken',
    settings: () => ({ KINORA_RTMP__PORT: taken() }),
    says: /^kinora serve: rtmp\.host, rtmp\.port: 127\.0\.0\.1:\d+ is in use/,
  },
  {
    rule: 'the RTSP port is taken',
    settings: () => ({ KINORA_RTSP__PORT: taken() }),
    says: /^kinora serve: rtsp\.host, rtsp\.port: 127\.0\.0\.1:\d+ is in use/,
  },
  {
    rule: 'the address is not ours', // RFC 5737: for documentation only
    settings: () => ({ KINORA_RTMP__HOST: '192.0.2.1' }),
    says: /^kinora serve: rtmp\.host, rtmp\.port: 192\.0\.2\.1 is no address of this machine/,
  },
  {
    rule: 'the data directory is a file',
    settings: () => ({ KINORA_DATA_DIRECTORY: file() }),
    says: /^kinora serve: dataDirectory: .*file is not a folder/,
  },
  {
    rule: 'a TLS file is missing',
    settings: () => ({
      KINORA_HTTP__TLS_CERT_FILE: '/nowhere/cert.pem',
      KINORA_HTTP__TLS_KEY_FILE: file(),
    }),
    says: /^kinora serve: http\.tlsCertFile, http\.tlsKeyFile: \/nowhere\/cert\.pem is not there/,
  },
  {
    rule: 'a TLS file holds something else',
    settings: () => ({ KINORA_HTTP__TLS_CERT_FILE: file(), KINORA_HTTP__TLS_KEY_FILE: file() }),
    says: /^kinora serve: http\.tlsCertFile, http\.tlsKeyFile: .*PEM/,
  },
  {
    rule: 'the model is not there',
    settings: () => ({ KINORA_DETECTION__MODEL: 'nope' }),
    says: /^kinora serve: There is no model nope/,
  },
])('$rule', async ({ settings, says }) => {
  const { code, output } = await serveUntilEnd(settings())

  expect(output).toMatch(says)
  expect(output.trimEnd().split('\n')).toHaveLength(1)
  expect(code).toBe(1)
})

test('another process uses the data directory', async () => {
  const data = join(directory, 'used')
  await using _other = await openLevelMetaStore(join(data, 'meta'))

  const { code, output } = await serveUntilEnd({ KINORA_DATA_DIRECTORY: data })

  expect(output).toMatch(/^kinora serve: Another process uses .*used/)
  expect(code).toBe(1)
})

async function serveUntilEnd(settings: Record<string, string>) {
  const data = await mkdtemp(join(directory, 'data-'))
  const child = spawn(process.execPath, [join(ROOT, 'bin/kinora.cjs'), 'serve'], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      PATH: process.env.PATH,
      KINORA_DATA_DIRECTORY: data,
      KINORA_HTTP__PORT: '0',
      KINORA_RTMP__PORT: '0',
      KINORA_RTSP__PORT: '0',
      ...settings,
    },
  })
  let output = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}
