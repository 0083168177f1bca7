import { expect, test } from 'vitest'
import { runControl, type Answer } from './run-control.ts'

test('one name made, changed, published to and removed at once: each call gets a plain answer', async () => {
  const { call, registry, sessions, archive } = await runControl()
  const name = { StreamName: 'churn' }
  const answers: Answer[] = []
  const ask = async (path: string, input: object) => {
    answers.push(await call(path, input))
  }
  const publish = async () => {
    const opened = sessions.open({
      ...{ stream: 'churn', protocol: 'rtmp', peer: '192.0.2.1:5000' },
      authorisation: { kind: 'verified' },
    })
    await opened.then(
      (session) => session.end('unpublished'),
      () => undefined, // the stream is not there, or somebody else publishes
    )
  }
  const remove = async () => {
    const info = registry.find('churn')
    if (info === null) return
    const StreamARN = `arn:aws:kinesisvideo:us-west-2:123456789012:stream/churn/${info.createdAt}`
    await ask('/deleteStream', { StreamARN })
  }
  for (let round = 0; round < 12; round++) {
    await Promise.all([
      ask('/createStream', { ...name, DataRetentionInHours: 1 }),
      ask('/tagStream', { ...name, Tags: { [`k${round}`]: 'v' } }),
      publish(),
      remove(),
      ask('/describeStream', name),
      ask('/listStreams', {}),
      publish(),
      remove(),
    ])
  }
  await remove()

  const allowed = ['200', '400 ResourceInUseException', '404 ResourceNotFoundException']
  const outcomes = answers.map(({ status, type }) => `${status} ${type ?? ''}`.trim())
  expect(outcomes.filter((outcome) => !allowed.includes(outcome))).toEqual([])
  expect(outcomes.filter((outcome) => outcome === '200').length).toBeGreaterThan(12)
  expect(registry.list().map((info) => info.name)).toEqual(['x'])
  expect(sessions.list()).toEqual([])
  const { streams } = await archive.space()
  expect(streams.filter(({ bytes }) => bytes > 0)).toEqual([])
})
