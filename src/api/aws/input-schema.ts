import type { EpochMs } from '../../domain/time.ts'
import { ServiceError } from '../../domain/errors.ts'
import type { Codec } from './codec.ts'

/**
 * The shape of an operation's input. Two passes, as the service makes them: first the types of all
 * members (SerializationException at the first that is wrong), then the constraints of all members
 * (one ValidationException that names every failure).
 */
export type Member<T> = {
  /** @throws `invalid-argument`/`SerializationException` */
  readonly read: (raw: unknown, codec: Codec) => T
  /** Appends what is wrong. */
  check(value: T, at: string, failures: string[]): void
}
export type RequiredMember<T> = Member<T> & { readonly required: true }

type Members = Readonly<Record<string, Member<unknown>>>
type ValueOf<M> = M extends Member<infer T> ? T : never
type RequiredNames<S> = {
  [K in keyof S]: S[K] extends RequiredMember<unknown> ? K : never
}[keyof S]
export type Structure<S> = {
  readonly [K in RequiredNames<S>]: ValueOf<S[K]>
} & { readonly [K in Exclude<keyof S, RequiredNames<S>>]?: ValueOf<S[K]> | undefined }
export type InputOf<M> = ValueOf<M>

/** @throws `invalid-argument`/`SerializationException` or `ValidationException` */
export function readInput<T>(member: Member<T>, raw: unknown, codec: Codec): T {
  return checkInput(member, member.read(raw, codec))
}

/** The second pass alone. @throws `invalid-argument`/`ValidationException` */
export function checkInput<T>(member: Member<T>, input: T): T {
  const failures: string[] = []
  member.check(input, '', failures)
  if (failures.length > 0) throw validationError(failures)
  return input
}

export function validationError(failures: readonly string[]): ServiceError {
  const errors =
    failures.length === 1 ? '1 validation error' : `${failures.length} validation errors`
  return new ServiceError(
    'invalid-argument',
    'ValidationException',
    `${errors} detected: ${failures.join('; ')}`,
  )
}

/** `Value '<v>' at '<member>' failed to satisfy constraint: Member must <what>`. */
export function constraintFailure(value: string | null, at: string, must: string): string {
  const shown = value === null ? 'null' : `'${value}'`
  return `Value ${shown} at '${at}' failed to satisfy constraint: Member must ${must}`
}

export function required<T>(member: Member<T>): RequiredMember<T> {
  return { ...member, required: true }
}

export function structure<S extends Record<string, Member<unknown>>>(
  members: S,
): Member<Structure<S>> {
  const parts = Object.entries(members as Members).map(([name, member]) => ({
    name,
    member,
    required: 'required' in member,
    label: name.charAt(0).toLowerCase() + name.slice(1),
  }))
  return {
    read: (raw, codec) => {
      if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
        throw Array.isArray(raw) ? misplaced(raw) : inconvertible(raw, 'a Structure')
      }
      const input: Record<string, unknown> = {}
      for (const { name, member } of parts) {
        const value = (raw as Record<string, unknown>)[name]
        if (value !== undefined && value !== null) input[name] = member.read(value, codec)
      }
      return input as Structure<S>
    },
    check: (input, at, failures) => {
      for (const part of parts) {
        const value = (input as Record<string, unknown>)[part.name]
        const label = at === '' ? part.label : `${at}.${part.label}`
        if (value !== undefined) part.member.check(value, label, failures)
        else if (part.required) failures.push(constraintFailure(null, label, 'not be null'))
      }
    },
  }
}

export function string(limits: {
  readonly min?: number
  readonly max?: number
  readonly pattern?: string
}): Member<string> {
  const pattern = limits.pattern === undefined ? null : new RegExp(`^(?:${limits.pattern})$`, 'u')
  return {
    read: (raw) => {
      if (typeof raw !== 'string') throw inconvertible(raw, 'a String')
      return raw
    },
    check: (value, at, failures) => {
      if (pattern !== null && !pattern.test(value)) {
        const must = `satisfy regular expression pattern: ${limits.pattern}`
        failures.push(constraintFailure(value, at, must))
      }
      checkLength(value.length, () => value, at, limits, failures)
    },
  }
}

export function oneOf<const V extends string>(values: readonly V[]): Member<V> {
  return {
    read: (raw) => {
      if (typeof raw !== 'string') throw inconvertible(raw, 'a String')
      return raw as V // until `check` has seen it
    },
    check: (value, at, failures) => {
      if (values.includes(value)) return
      const must = `satisfy enum value set: [${values.join(', ')}]`
      failures.push(constraintFailure(value, at, must))
    },
  }
}

/** 32 bits: what does not fit is clamped before it is checked, and reported so. */
export function integer(limits: { readonly min?: number; readonly max?: number }): Member<number> {
  return {
    read: (raw) => {
      if (typeof raw !== 'number') throw inconvertible(raw, 'an Integer')
      return Math.max(-0x8000_0000, Math.min(0x7fff_ffff, Math.trunc(raw)))
    },
    check: (value, at, failures) => {
      if (limits.min !== undefined && value < limits.min) {
        const must = `have value greater than or equal to ${limits.min}`
        failures.push(constraintFailure(String(value), at, must))
      }
      if (limits.max !== undefined && value > limits.max) {
        const must = `have value less than or equal to ${limits.max}`
        failures.push(constraintFailure(String(value), at, must))
      }
    },
  }
}

export function boolean(): Member<boolean> {
  return {
    read: (raw) => {
      if (typeof raw !== 'boolean') throw inconvertible(raw, 'a Boolean')
      return raw
    },
    check: () => undefined,
  }
}

export function blob(limits: { readonly max: number }): Member<Buffer> {
  return {
    read: (raw, codec) => {
      const bytes = codec.readBlob(raw)
      if (bytes === null) throw inconvertible(raw, 'a Blob')
      return bytes
    },
    check: (value, at, failures) =>
      checkLength(value.length, () => describeBlob(value), at, limits, failures),
  }
}

/** How the service names a blob in its messages. */
export function describeBlob(bytes: Uint8Array): string {
  return `java.nio.HeapByteBuffer[pos=0 lim=${bytes.length} cap=${bytes.length}]`
}

export function timestamp(): Member<EpochMs> {
  return {
    read: (raw, codec) => {
      const time = codec.readTimestamp(raw)
      if (time === null) throw inconvertible(raw, 'a Timestamp')
      return time
    },
    check: () => undefined,
  }
}

export function list<T>(
  element: Member<T>,
  limits: { readonly min: number; readonly max: number },
): Member<readonly T[]> {
  return {
    read: (raw, codec) => {
      if (!Array.isArray(raw)) throw misplaced(raw)
      return raw.map((value) => element.read(value, codec))
    },
    check: (values, at, failures) => {
      checkLength(
        values.length,
        () => `[${typeof values[0] === 'string' ? values.join(', ') : values.length}]`,
        at,
        limits,
        failures,
      )
      const unnamed: string[] = [] // most elements pass, and do without the name of their place
      values.forEach((value, i) => {
        element.check(value, '', unnamed)
        if (unnamed.length > 0) element.check(value, `${at}.${i + 1}.member`, failures)
        unnamed.length = 0
      })
    },
  }
}

export function map(
  key: Member<string>,
  value: Member<string>,
  limits: { readonly min: number; readonly max: number },
): Member<Readonly<Record<string, string>>> {
  return {
    read: (raw, codec) => {
      if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw misplaced(raw)
      const pairs = Object.entries(raw).map(([name, each]) => [name, value.read(each, codec)])
      return Object.fromEntries(pairs) as Record<string, string>
    },
    check: (values, at, failures) => {
      const names = Object.keys(values)
      checkLength(names.length, () => `{${names.join(', ')}}`, at, limits, failures)
      for (const name of names) {
        key.check(name, `${at}.${name}.key`, failures)
        value.check(values[name]!, `${at}.${name}.member`, failures)
      }
    },
  }
}

function checkLength(
  length: number,
  shown: () => string,
  at: string,
  limits: { readonly min?: number; readonly max?: number },
  failures: string[],
): void {
  if (limits.min !== undefined && length < limits.min) {
    failures.push(
      constraintFailure(shown(), at, `have length greater than or equal to ${limits.min}`),
    )
  }
  if (limits.max !== undefined && length > limits.max) {
    failures.push(constraintFailure(shown(), at, `have length less than or equal to ${limits.max}`))
  }
}

function inconvertible(raw: unknown, type: string): ServiceError {
  if (typeof raw === 'object') return misplaced(raw)
  const found =
    typeof raw === 'boolean'
      ? `${String(raw).toUpperCase()}_VALUE`
      : `${typeof raw}_VALUE`.toUpperCase()
  return serializationError(`${found} can not be converted to ${type}`)
}

function misplaced(raw: unknown): ServiceError {
  if (typeof raw !== 'object') return serializationError('Expected list or map')
  const found = Array.isArray(raw) ? 'list' : 'structure or map'
  return serializationError(`Start of ${found} found where not expected.`)
}

export function serializationError(message: string): ServiceError {
  return new ServiceError('invalid-argument', 'SerializationException', message)
}
