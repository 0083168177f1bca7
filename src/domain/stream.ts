import { ServiceError } from './errors.ts'

/**
 * One generation of a video stream: its name and its creation time, so that a stream deleted and
 * created again never meets its predecessor's media. Safe as a file name.
 */
export type StreamId = string & { readonly __brand: 'StreamId' }

const STREAM_NAME = /^[a-zA-Z0-9_.-]{1,256}$/

/** Checks a video stream's name (KVS API: CreateStream, StreamName). */
export function parseStreamName(name: string): string {
  if (!STREAM_NAME.test(name) || name === '.' || name === '..') {
    throw new ServiceError(
      'invalid-argument',
      'InvalidStreamName',
      `Stream name ${JSON.stringify(name.slice(0, 300))} must match ${STREAM_NAME.source}.`,
    )
  }
  return name
}

export function toStreamId(name: string, createdAtMs: number): StreamId {
  return `${parseStreamName(name).slice(0, 64)}~${createdAtMs.toString(36)}` as StreamId
}
