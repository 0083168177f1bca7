/** Width and height in pixels. */
export type PictureSize = { readonly widthPx: number; readonly heightPx: number }

/**
 * The size in a VP8 key frame's head (RFC 6386 §9.1).
 *
 * ```
 * | frame tag 3LE: bit 0 = not a key frame | 9D 01 2A | width 14, scale 2, LE | height 14, scale 2, LE |
 * ```
 *
 * @returns `null` for another frame, or none
 */
export function parseVp8KeyFrame(bytes: Uint8Array): PictureSize | null {
  if (bytes.length < 10 || (bytes[0]! & 1) !== 0) return null
  if (bytes[3] !== 0x9d || bytes[4] !== 0x01 || bytes[5] !== 0x2a) return null
  const widthPx = (bytes[6]! | (bytes[7]! << 8)) & 0x3fff
  const heightPx = (bytes[8]! | (bytes[9]! << 8)) & 0x3fff
  return widthPx > 0 && heightPx > 0 ? { widthPx, heightPx } : null
}
