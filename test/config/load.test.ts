import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/index.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'config-'))
})
afterAll(() => rm(directory, { recursive: true }))

async function file(text: string): Promise<string> {
  const path = join(directory, `${Math.random()}.yaml`)
  await writeFile(path, text)
  return path
}

describe('loadConfig', () => {
  test('without file and environment everything has a default, and nothing leaves the machine', () => {
    const config = loadConfig(null, {})

    expect(config.http).toMatchObject({ host: '127.0.0.1', port: 8080 })
    expect(config.rtmp).toMatchObject({ host: '127.0.0.1', port: 1935 })
  })

  test('an empty file is a valid one', async () => {
    expect(loadConfig(await file(''), {})).toEqual(loadConfig(null, {}))
  })

  test('the environment wins over the file, the file over the defaults', async () => {
    const path = await file('http:\n  port: 9000\nrtmp:\n  port: 9001\n')

    const config = loadConfig(path, { KINORA_HTTP__PORT: '9002' })

    expect(config.http.port).toBe(9002)
    expect(config.rtmp.port).toBe(9001)
    expect(config.archive.fragmentTargetMs).toBe(2000)
  })

  test.each([
    ['KINORA_DETECTION__FRAMES_PER_SECOND', '2.5', 2.5],
    ['KINORA_DETECTION__LABELS', '[person, car]', ['person', 'car']],
    ['KINORA_DETECTION__MAX_LAG_MS', 'null', null],
    ['KINORA_DETECTION__ENABLED', 'false', false],
  ])('%s=%s', (variable, text, value) => {
    const key = variable
      .split('__')[1]!
      .toLowerCase()
      .replace(/_./g, (m) => m[1]!.toUpperCase())

    expect(loadConfig(null, { [variable]: text }).detection).toHaveProperty(key, value)
  })

  test('a secret may come from a file, and stays a text when it looks like a number', async () => {
    const path = join(directory, 'token')
    await writeFile(path, '12345678901234567890\n')

    const config = loadConfig(null, { KINORA_AUTH__ADMIN_TOKEN_FILE: path })

    expect(config.auth.adminToken).toBe('12345678901234567890')
  })

  test.each([
    {
      wrong: 'an unknown setting',
      yaml: 'http:\n  prot: 1',
      says: 'http.prot: there is no such setting',
    },
    { wrong: 'an unknown section', yaml: 'htttp: {}', says: 'htttp' },
    { wrong: 'a wrong type', yaml: 'http:\n  port: eighty', says: 'http.port' },
    { wrong: 'out of range', yaml: 'rtmp:\n  port: 70000', says: 'rtmp.port' },
    { wrong: 'a list instead of a mapping', yaml: '- 1', says: 'must hold a mapping' },
    { wrong: 'broken YAML', yaml: 'a: [1', says: 'Flow sequence' },
    {
      wrong: 'an open port without a token',
      yaml: 'http:\n  host: 0.0.0.0',
      says: 'auth.adminToken',
    },
    {
      wrong: 'a short token',
      yaml: 'auth:\n  adminToken: short',
      says: 'auth.adminToken: must be string 16.. or null. Token for the control API',
    },
    { wrong: 'a publicUrl that is none', yaml: 'publicUrl: http://a b/', says: 'publicUrl' },
    { wrong: 'half of TLS', yaml: 'http:\n  tlsKeyFile: x', says: 'set both or none' },
    { wrong: 'a name given twice', yaml: 'streams:\n- name: a\n- name: a', says: 'given twice' },
    {
      wrong: 'a short fragment limit',
      yaml: 'archive:\n  fragmentTargetMs: 5000\n  maxFragmentMs: 1000',
      says: 'maxFragmentMs',
    },
  ])('says what is wrong: $wrong', async ({ yaml, says }) => {
    const path = await file(yaml)

    expect(() => loadConfig(path, {})).toThrow(says)
  })

  test('never repeats a secret in a message', async () => {
    const path = await file('auth:\n  adminToken: short-secret\n')

    expect(() => loadConfig(path, {})).toThrow('auth.adminToken')
    expect(() => loadConfig(path, {})).not.toThrow('short-secret')
  })

  test('a YAML error does not quote the file', async () => {
    const path = await file('auth:\n  adminToken: "test-secret-token\nx: [')

    expect(() => loadConfig(path, {})).not.toThrow('test-secret-token')
  })

  test.each(['KINORA_NOPE', 'KINORA_HTTP__NOPE', 'KINORA_HTTP__PORT__X'])(
    '%s is refused',
    (name) => {
      expect(() => loadConfig(null, { [name]: '1' })).toThrow(`${name} names no setting`)
    },
  )

  test('a missing file is named', () => {
    expect(() => loadConfig('/nowhere/kinora.yaml', {})).toThrow('/nowhere/kinora.yaml')
  })
})
