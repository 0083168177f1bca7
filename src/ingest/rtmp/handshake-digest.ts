import { createHmac } from 'node:crypto'

/**
 * The digests of the Flash handshake, which no standard describes: Flash's server refuses to serve
 * H.264 without them, its clients and the encoders made after them send them, and every server since
 * answers in kind.
 *
 * ```
 * C1, S1:  | time 4 | version 4 | scheme 0: digest block 764, key block 764; scheme 1: the other way |
 * digest block: | offset 4 | ... | HMAC-SHA256 of the rest of the 1536 bytes, 32 | ... |
 * C2, S2:  | random 1504 | HMAC of it, with the HMAC of the other's digest as the key, 32 |
 * ```
 * The place in the block is the sum of its first four bytes, modulo 728, behind them.
 */
export type DigestSide = 'client' | 'server'

export type DigestScheme = 0 | 1

export type FoundDigest = { readonly scheme: DigestScheme; readonly digest: Uint8Array }

const PACKET_BYTES = 1536
const DIGEST_BYTES = 32
/** Where the digest block begins, by scheme: at once behind time and version, or behind the key. */
const BLOCK_AT = [8, 8 + 764] as const
const PLACES = 764 - 4 - DIGEST_BYTES

const COMMON_KEY = Buffer.from(
  'f0eec24a8068bee82e00d0d1029e7e576eec5d2d29806fab93b8e636cfeb31ae',
  'hex',
)
const KEY_TEXTS: Record<DigestSide, string> = {
  client: 'Genuine Adobe Flash Player 001',
  server: 'Genuine Adobe Flash Media Server 001',
}

/** The digest that the other side put into its C1 or S1; `null` when there is none. */
export function findDigest(packet: Uint8Array, side: DigestSide): FoundDigest | null {
  for (const scheme of [0, 1] as const) {
    const at = digestOffset(packet, scheme)
    const digest = packet.subarray(at, at + DIGEST_BYTES)
    if (Buffer.compare(digest, digestOf(packet, at, side)) === 0) return { scheme, digest }
  }
  return null
}

/** Puts our digest into a C1 or S1, which is filled otherwise. @returns it */
export function placeDigest(
  packet: Uint8Array,
  side: DigestSide,
  scheme: DigestScheme,
): Uint8Array {
  const at = digestOffset(packet, scheme)
  const digest = digestOf(packet, at, side)
  packet.set(digest, at)
  return digest
}

/** Signs a C2 or S2 with the digest that it answers. */
export function signAnswer(packet: Uint8Array, side: DigestSide, answered: Uint8Array): void {
  const text = packet.subarray(0, PACKET_BYTES - DIGEST_BYTES)
  const key = hmac(Buffer.concat([Buffer.from(KEY_TEXTS[side]), COMMON_KEY]), answered)
  packet.set(hmac(key, text), PACKET_BYTES - DIGEST_BYTES)
}

function digestOffset(packet: Uint8Array, scheme: DigestScheme): number {
  const block = BLOCK_AT[scheme]
  let sum = 0
  for (let i = 0; i < 4; i++) sum += packet[block + i]!
  return block + 4 + (sum % PLACES)
}

function digestOf(packet: Uint8Array, at: number, side: DigestSide): Uint8Array {
  const before = packet.subarray(0, at)
  return hmac(
    Buffer.from(KEY_TEXTS[side]),
    before,
    packet.subarray(at + DIGEST_BYTES, PACKET_BYTES),
  )
}

function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac('sha256', key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}
