import type { RecordInput } from './record-input.ts'

/** What PutRecords is given, as far as {@link scanPutRecords} knows it. */
export type ScannedPut = {
  StreamName?: string
  StreamARN?: string
  Records?: readonly RecordInput[]
}

const QUOTE = 0x22
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_LIST = 0x5b
const BACKSLASH = 0x5c
const CLOSE_LIST = 0x5d
const OPEN = 0x7b
const CLOSE = 0x7d
const DATA = Buffer.from('"Data"')
const PARTITION_KEY = Buffer.from('"PartitionKey"')
const EXPLICIT_HASH_KEY = Buffer.from('"ExplicitHashKey"')

/**
 * Reads the JSON of a PutRecords request in one pass, its data straight out of base64: megabytes of
 * text never become strings of their own. It knows what clients send: texts without escapes, members
 * of this operation, each once.
 *
 * @param take memory for the data
 * @returns `null` for anything else, right or wrong: the general way reads that, and words what is wrong
 */
export function scanPutRecords(
  body: Buffer,
  take: (byteLength: number) => Buffer,
): ScannedPut | null {
  return new Scanner(body, take(Math.ceil(body.length * 0.75))).input()
}

class Scanner {
  readonly #body: Buffer
  #at = 0
  /** The data of all records, one behind the other. */
  readonly #data: Buffer
  #dataAt = 0

  constructor(body: Buffer, data: Buffer) {
    this.#body = body
    this.#data = data
  }

  input(): ScannedPut | null {
    const input: ScannedPut = {}
    if (!this.#take(OPEN)) return null
    do {
      const name = this.#text()
      if (name !== 'StreamName' && name !== 'StreamARN' && name !== 'Records') return null
      if (input[name] !== undefined || !this.#take(COLON)) return null
      const value = name === 'Records' ? this.#records() : this.#text()
      if (value === null) return null
      Object.assign(input, { [name]: value })
    } while (this.#take(COMMA))
    return this.#take(CLOSE) && this.#isAtEnd() ? input : null
  }

  #records(): RecordInput[] | null {
    const records: RecordInput[] = []
    if (!this.#take(OPEN_LIST)) return null
    do {
      const record = this.#record()
      if (record === null) return null
      records.push(record)
    } while (this.#take(COMMA))
    return this.#take(CLOSE_LIST) ? records : null
  }

  #record(): RecordInput | null {
    let Data: Buffer | null | undefined
    let PartitionKey: string | null | undefined
    let ExplicitHashKey: string | null | undefined
    if (!this.#take(OPEN)) return null
    do {
      if (Data === undefined && this.#takeName(DATA)) Data = this.#blob()
      else if (PartitionKey === undefined && this.#takeName(PARTITION_KEY))
        PartitionKey = this.#text()
      else if (ExplicitHashKey === undefined && this.#takeName(EXPLICIT_HASH_KEY))
        ExplicitHashKey = this.#text()
      else return null
    } while (this.#take(COMMA))
    if (!this.#take(CLOSE) || !Data || PartitionKey === null || ExplicitHashKey === null) {
      return null
    }
    return { Data, PartitionKey, ExplicitHashKey }
  }

  /** A member's name and the colon behind it. */
  #takeName(quoted: Uint8Array): boolean {
    this.#skipSpace()
    for (let i = 0; i < quoted.length; i++) {
      if (this.#body[this.#at + i] !== quoted[i]) return false
    }
    this.#at += quoted.length
    return this.#take(COLON)
  }

  /** A text without escapes. */
  #text(): string | null {
    if (!this.#take(QUOTE)) return null
    const body = this.#body
    const from = this.#at
    let end = from
    let all = 0
    for (;;) {
      const byte = body[end]
      if (byte === QUOTE) break
      if (byte === undefined || byte < 0x20 || byte === BACKSLASH) return null
      all |= byte
      end += 1
    }
    this.#at = end + 1
    return body.toString(all < 0x80 ? 'latin1' : 'utf8', from, end)
  }

  /** Node skips what is not base64, so fewer bytes than the text promises mean that some was. */
  #blob(): Buffer | null {
    if (!this.#take(QUOTE)) return null
    const body = this.#body
    const from = this.#at
    const end = body.indexOf(QUOTE, from)
    const length = end - from
    if (end < 0 || length % 4 !== 0) return null
    const padding = body[end - 1] !== 0x3d ? 0 : body[end - 2] === 0x3d ? 2 : 1
    const bytes = this.#data.write(body.toString('latin1', from, end), this.#dataAt, 'base64')
    if (bytes !== (length / 4) * 3 - padding) return null
    this.#at = end + 1
    this.#dataAt += bytes
    return this.#data.subarray(this.#dataAt - bytes, this.#dataAt)
  }

  #take(byte: number): boolean {
    this.#skipSpace()
    if (this.#body[this.#at] !== byte) return false
    this.#at += 1
    return true
  }

  /** RFC 8259 §2: space, tab, line feed, carriage return. */
  #skipSpace(): void {
    for (;;) {
      const byte = this.#body[this.#at]
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return
      this.#at += 1
    }
  }

  #isAtEnd(): boolean {
    this.#skipSpace()
    return this.#at === this.#body.length
  }
}
