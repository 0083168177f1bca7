/** What a JPEG file's header says that RTP/JPEG leaves to be made up (RFC 2435 §3.1). */
export type JfifPicture = {
  readonly widthPx: number
  readonly heightPx: number
  /** Chroma subsampling: 4:2:2 or 4:2:0. */
  readonly sampling: '422' | '420'
  /** One table of 64 or 128 bytes for luma, one for chroma, in zigzag order. */
  readonly quantization: readonly Uint8Array[]
  /** MCUs between restart markers; 0 without. */
  readonly restartInterval: number
}

/**
 * Everything of a JFIF file before its scan data (ITU-T T.81 Annex B, JFIF 1.02): RFC 2435 Appendix B
 * with the Huffman tables of T.81 Annex K that RTP/JPEG prescribes.
 */
export function toJfifHeader(picture: JfifPicture): Uint8Array {
  const { widthPx, heightPx, sampling, quantization, restartInterval } = picture
  const luma = sampling === '422' ? 0x21 : 0x22
  const size = [heightPx >> 8, heightPx & 0xff, widthPx >> 8, widthPx & 0xff]
  return Uint8Array.from([
    ...[0xff, SOI],
    ...segment(APP0, [...Buffer.from('JFIF\0'), 1, 2, 0, 0, 1, 0, 1, 0, 0]),
    ...quantization.flatMap((table, id) =>
      segment(DQT, [(table.length > 64 ? 0x10 : 0) | id, ...table]),
    ),
    ...(restartInterval === 0 ? [] : segment(DRI, [restartInterval >> 8, restartInterval & 0xff])),
    ...segment(SOF0, [8, ...size, 3, 1, luma, 0, 2, 0x11, 1, 3, 0x11, 1]),
    ...segment(DHT, [0x00, ...DC_LUMA]),
    ...segment(DHT, [0x10, ...AC_LUMA]),
    ...segment(DHT, [0x01, ...DC_CHROMA]),
    ...segment(DHT, [0x11, ...AC_CHROMA]),
    ...segment(SOS, [3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0]),
  ])
}

/** The quantization tables of a quality of 1 to 99, RFC 2435 Appendix A. */
export function toQuantization(quality: number): readonly Uint8Array[] {
  const q = Math.min(99, Math.max(1, quality))
  const scale = q < 50 ? Math.floor(5000 / q) : 200 - q * 2
  return [LUMA_QUANTIZER, CHROMA_QUANTIZER].map((table) =>
    Uint8Array.from(table, (value) =>
      Math.min(255, Math.max(1, Math.floor((value * scale + 50) / 100))),
    ),
  )
}

export const JPEG_END = Uint8Array.of(0xff, 0xd9)

/** Width and height of a JPEG file's frame header; `null` when there is none. */
export function parseJpegSize(jpeg: Uint8Array): { widthPx: number; heightPx: number } | null {
  let offset = 2
  while (offset + 9 <= jpeg.length && jpeg[offset] === 0xff) {
    const marker = jpeg[offset + 1]!
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![DHT, 0xc8, 0xcc].includes(marker)
    if (isFrame) {
      const heightPx = (jpeg[offset + 5]! << 8) | jpeg[offset + 6]!
      const widthPx = (jpeg[offset + 7]! << 8) | jpeg[offset + 8]!
      return widthPx > 0 && heightPx > 0 ? { widthPx, heightPx } : null
    }
    offset += 2 + ((jpeg[offset + 2]! << 8) | jpeg[offset + 3]!)
  }
  return null
}

const SOI = 0xd8
const APP0 = 0xe0
const DQT = 0xdb
const DRI = 0xdd
const SOF0 = 0xc0
const DHT = 0xc4
const SOS = 0xda

function segment(marker: number, content: readonly number[]): readonly number[] {
  const length = content.length + 2
  return [0xff, marker, length >> 8, length & 0xff, ...content]
}

const hex = (text: string) => [...Buffer.from(text.replaceAll(/\s/g, ''), 'hex')]

/** T.81 Tables K.1 and K.2 in zigzag order, as RFC 2435 Appendix A has them. */
const LUMA_QUANTIZER = [
  16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37,
  29, 40, 58, 51, 61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87,
  95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
]
const CHROMA_QUANTIZER = [
  17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
  99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
  99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
]

/** T.81 Tables K.3 to K.6: how many codes of each length, then their values. */
const DC_LUMA = hex('00010501010101010100000000000000 000102030405060708090a0b')
const DC_CHROMA = hex('00030101010101010101010000000000 000102030405060708090a0b')
const AC_LUMA = hex(`0002010303020403050504040000017d
  01020300041105122131410613516107227114328191a1082342b1c11552d1f0
  2433627282090a161718191a25262728292a3435363738393a43444546474849
  4a535455565758595a636465666768696a737475767778797a83848586878889
  8a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5
  c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8
  f9fa`)
const AC_CHROMA = hex(`00020102040403040705040400010277
  000102031104052131061241510761711322328108144291a1b1c109233352f0
  156272d10a162434e125f11718191a262728292a35363738393a434445464748
  494a535455565758595a636465666768696a737475767778797a828384858687
  88898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3
  c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8
  f9fa`)
