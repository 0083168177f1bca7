import type { CreatedStream, DetectionRecord, ServiceStatus, StreamStatus } from './api-types.ts'

/** A refusal of the control API; `status` 0 when the service could not be reached. */
export class ApiError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export const getService = (signal: AbortSignal) =>
  request<ServiceStatus>('/control/v1/service', { signal })

export const getStreams = async (signal: AbortSignal) =>
  (await request<{ streams: StreamStatus[] }>('/control/v1/streams', { signal })).streams

export type DetectionsQuery = {
  readonly stream?: string
  readonly limit: number
  /** Epoch ms, `from <= t < to`. */
  readonly from?: number
  readonly to?: number
}

/** Newest first. */
export async function getDetections(query: DetectionsQuery, signal: AbortSignal) {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) parameters.set(name, String(value))
  const path = `/control/v1/detections?${parameters.toString()}`
  return (await request<{ detections: DetectionRecord[] }>(path, { signal })).detections
}

export const createStream = (name: string) =>
  request<CreatedStream>('/control/v1/streams', post({ name }))

/** @throws ApiError 401 when the token is wrong */
export const signIn = (token: string) => request<null>('/control/v1/session', post({ token }))

function post(body: object): RequestInit {
  const headers = { 'content-type': 'application/json' }
  return { method: 'POST', headers, body: JSON.stringify(body) }
}

async function request<T>(path: string, init: RequestInit): Promise<T> {
  let response: Response
  try {
    response = await fetch(path, { credentials: 'same-origin', ...init })
  } catch (error) {
    if (init.signal?.aborted) throw error
    throw new ApiError(0, 'The service does not answer.')
  }
  const text = await response.text()
  if (!response.ok) throw new ApiError(response.status, readMessage(text, response.status))
  return (text === '' ? null : JSON.parse(text)) as T
}

function readMessage(text: string, status: number): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    if (typeof message === 'string') return message
  } catch {
    // not JSON: a proxy in between answered
  }
  return `The service answered ${status}.`
}
