import { describe, expect, test } from 'vitest'
import { resolveControl, toBaseUrl } from '../../../src/ingest/rtsp/control-url.ts'
import { isAbout, matchControl, parsePublishUrl } from '../../../src/ingest/rtsp/stream-url.ts'

test.each([
  { uri: 'rtsp://h:8554/live/x', is: { stream: 'x', key: null } },
  { uri: 'rtsp://h/x?key=abc', is: { stream: 'x', key: 'abc' } },
  { uri: 'rtsps://u:p@h/live/x/?a=1&key=abc', is: { stream: 'x', key: 'abc' } },
  { uri: '/live/x', is: { stream: 'x', key: null } },
  { uri: 'rtsp://h/live', is: { stream: 'live', key: null } },
  { uri: 'rtsp://h/live/%78', is: { stream: 'x', key: null } },
  { uri: 'rtsp://h/live/%zz', is: { stream: '%zz', key: null } },
  { uri: 'rtsp://h/other/x', is: null },
  { uri: 'rtsp://h/live/x/y', is: null },
  { uri: 'rtsp://h', is: null },
  { uri: '*', is: { stream: '*', key: null } },
])('publishing on $uri', ({ uri, is }) => {
  expect(parsePublishUrl(uri)).toEqual(is)
})

test.each([
  { uri: 'rtsp://h/live/x/streamid=0', stream: 'x', is: true },
  { uri: '/x/', stream: 'x', is: true },
  { uri: 'rtsp://h/live/xy', stream: 'x', is: false },
  { uri: 'rtsp://x/live/y', stream: 'x', is: false },
  { uri: 'rtsp://h/live', stream: 'live', is: true },
])('$uri is about $stream: $is', ({ uri, stream, is }) => {
  expect(isAbout(uri, stream)).toBe(is)
})

describe('SETUP means', () => {
  const TWO = ['streamid=0', 'streamid=1']

  test.each([
    {
      rule: 'ffmpeg: path, slash, control',
      uri: 'rtsp://h/live/x/streamid=1',
      controls: TWO,
      is: { index: 1, base: 'rtsp://h/live/x' },
    },
    {
      rule: 'ffmpeg: the control behind the query',
      uri: 'rtsp://h/live/x?key=k&a=1/streamid=0',
      controls: TWO,
      is: { index: 0, base: 'rtsp://h/live/x?key=k&a=1' },
    },
    {
      rule: 'GStreamer: the control before the query',
      uri: 'rtsp://h/live/x/stream=1?key=k',
      controls: ['stream=0', 'stream=1'],
      is: { index: 1, base: 'rtsp://h/live/x?key=k' },
    },
    {
      rule: 'the longer of two that fit',
      uri: 'rtsp://h/x/a/1',
      controls: ['1', 'a/1'],
      is: { index: 1, base: 'rtsp://h/x' },
    },
    {
      rule: 'not 1 when 11 is meant',
      uri: 'rtsp://h/x/track11',
      controls: ['track1', 'track11'],
      is: { index: 1, base: 'rtsp://h/x' },
    },
    {
      rule: 'an absolute control',
      uri: 'rtsp://h/live/x/v',
      controls: ['rtsp://h/live/x/a', 'rtsp://h/live/x/v'],
      is: { index: 1, base: 'rtsp://h/live/x/v' },
    },
    {
      rule: 'the whole, when there is one media',
      uri: 'rtsp://h/live/x/',
      controls: [null],
      is: { index: 0, base: 'rtsp://h/live/x' },
    },
    { rule: 'nothing', uri: 'rtsp://h/live/x/streamid=2', controls: TWO, is: null },
    { rule: 'nothing: the whole of two', uri: 'rtsp://h/live/x', controls: TWO, is: null },
  ])('$rule', ({ uri, controls, is }) => {
    expect(matchControl(uri, controls)).toEqual(is)
  })
})

describe('controls of a camera are relative to', () => {
  const ASKED = 'rtsp://cam:554/cam/realmonitor?channel=1&subtype=0'
  const base = (headers: object) =>
    toBaseUrl(ASKED, new Map(Object.entries(headers).map(([name, value]) => [name, [`${value}`]])))

  test.each([
    { rule: 'Content-Base', headers: { 'content-base': 'rtsp://cam/a/' }, is: 'rtsp://cam/a/' },
    {
      rule: 'Content-Base before Content-Location',
      headers: { 'content-location': 'rtsp://cam/b', 'content-base': 'rtsp://cam/a' },
      is: 'rtsp://cam/a',
    },
    { rule: 'Content-Location', headers: { 'content-location': '/b/' }, is: 'rtsp://cam:554/b/' },
    {
      rule: 'a value without a scheme (Anjvision)',
      headers: { 'content-base': '192.168.1.2:554/h264/ch1/' },
      is: 'rtsp://192.168.1.2:554/h264/ch1/',
    },
    { rule: 'nothing: the request', headers: {}, is: ASKED },
    { rule: 'an empty value: the request', headers: { 'content-base': ' ' }, is: ASKED },
    { rule: 'nonsense: the request', headers: { 'content-base': 'rtsp://' }, is: ASKED },
    {
      rule: 'no user information',
      headers: { 'content-base': 'rtsp://admin:secret@cam/a/' },
      is: 'rtsp://cam/a/',
    },
  ])('$rule', ({ headers, is }) => {
    expect(base(headers)).toBe(is)
  })

  test.each([
    { rule: 'appended', base: 'rtsp://h/x', control: 'track1', is: 'rtsp://h/x/track1' },
    { rule: 'one slash', base: 'rtsp://h/x/', control: '/track1', is: 'rtsp://h/x/track1' },
    {
      rule: 'behind the query (Dahua)',
      base: ASKED,
      control: 'trackID=0',
      is: `${ASKED}/trackID=0`,
    },
    { rule: 'absolute', base: 'rtsp://h/x', control: 'rtsp://i/y', is: 'rtsp://i/y' },
    {
      rule: 'absolute, without the password it has',
      base: 'rtsp://h/x',
      control: 'rtsp://u:p@i/y',
      is: 'rtsp://i/y',
    },
    { rule: 'the whole', base: 'rtsp://h/x/', control: '*', is: 'rtsp://h/x/' },
    { rule: 'the whole', base: 'rtsp://h/x', control: null, is: 'rtsp://h/x' },
  ])('$rule: $control', ({ base, control, is }) => {
    expect(resolveControl(base, control)).toBe(is)
  })
})
