import { describe, expect, test } from 'vitest'
import { maskUrl, parseSourceUrl, secretsOf } from '../../src/domain/source-url.ts'

describe('parseSourceUrl', () => {
  test.each([
    ['rtsp://cam/live', 'rtsp://cam/live', null],
    ['rtsp://admin:pa55@cam:554/live', 'rtsp://cam:554/live', ['admin', 'pa55']],
    ['rtsp://admin:p%40%2Fss%25@cam/', 'rtsp://cam/', ['admin', 'p@/ss%']],
    ['rtsp://admin:p@ss@cam/', 'rtsp://cam/', ['admin', 'p@ss']], // the last @ counts
    ['rtsp://admin:100%@cam/', 'rtsp://cam/', ['admin', '100%']],
    ['rtsps://:key@[fe80::1]:322/x', 'rtsps://[fe80::1]:322/x', ['', 'key']],
    [
      'rtsp://u:p@cam/cam/realmonitor?channel=1&subtype=0',
      'rtsp://cam/cam/realmonitor?channel=1&subtype=0',
      ['u', 'p'],
    ],
    ['http://cam/flv?app=bcs&password=x', 'http://cam/flv?app=bcs&password=x', null],
  ])('%s', (text, href, credentials) => {
    const address = parseSourceUrl(text)

    expect(address.url.href).toBe(href)
    expect(address.credentials && Object.values(address.credentials)).toEqual(credentials)
  })

  test.each([
    ['', 'is no URL'],
    ['camera', 'is no URL'],
    ['rtsp://', 'names no host'],
    ['rtsp:///live', 'names no host'],
    ['file:///etc/passwd', 'must begin with'],
    ['ftp://cam/x', 'must begin with'],
    ['gopher://127.0.0.1:6379/_x', 'must begin with'],
    ['rtsp://cam:99999/', 'is no URL'],
    ['rtsp://admin:sec#ret@cam/', 'is no URL'],
    ['rtsp://admin:12#34@cam/', 'must not hold a #'],
    ['http://cam/flv?user=***&password=***', 'holds ***'],
    [`rtsp://cam/${'x'.repeat(2048)}`, 'must not be longer'],
  ])('refuses %s', (text, problem) => {
    expect(() => parseSourceUrl(text)).toThrow(`url: ${problem}`)
  })

  test('quotes nothing of what it refuses', () => {
    const text = 'rtsp://admin:sec#ret@cam/'

    expect(() => parseSourceUrl(text)).toThrow(
      expect.objectContaining({
        code: 'InvalidSource',
        message: expect.not.stringMatching(/sec|ret@|admin/) as string,
      }) as Error,
    )
  })
})

describe('maskUrl', () => {
  test.each([
    ['rtsp://cam/live', 'rtsp://cam/live'],
    ['rtsp://admin:p@ss@cam/live', 'rtsp://***@cam/live'],
    ['rtsp://cam/cam/realmonitor?channel=1&subtype=0', null],
    [
      'http://cam/flv?port=1935&app=bcs&stream=channel0_main.bcs&user=admin&password=x%26y',
      'http://cam/flv?port=1935&app=bcs&stream=channel0_main.bcs&user=***&password=***',
    ],
    ['https://cam/a?TOKEN=abc&x=1', 'https://cam/a?TOKEN=***&x=1'],
    ['rtmp://cam/live/x?key=abc', 'rtmp://cam/live/x?key=***'],
    ['rtsp://cam/a?api_key=1;pwd=2', 'rtsp://cam/a?api_key=***;pwd=***'],
    [
      'rtsp://cam/user=admin_password=tlJwpbo6_channel=1_stream=0.sdp?real_stream',
      'rtsp://cam/user=***?real_stream',
    ],
    [
      'rtsp://cam/user=admin&password=a&channel=1&stream=0.sdp',
      'rtsp://cam/user=***&password=***&channel=1&stream=0.sdp',
    ],
  ])('%s', (text, masked) => {
    expect(maskUrl(text)).toBe(masked ?? text)
  })
})

test('secretsOf names what is masked, as written and decoded', () => {
  const url = new URL('http://cam/flv?app=bcs&user=admin&password=x%26y')

  expect(secretsOf(url)).toEqual(['admin', 'admin', 'x%26y', 'x&y'])
})
