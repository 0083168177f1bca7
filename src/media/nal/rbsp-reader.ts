import { BitReader } from '../bit-reader.ts'

/**
 * Reads the bit fields of a parameter set: strips the emulation prevention bytes of a NAL unit
 * (ITU-T H.264 §7.3.1, the same in H.265 §7.3.1.1) and decodes its Exp-Golomb codes.
 */
export class RbspReader extends BitReader {
  /**
   * @param nalUnit one NAL unit, without start code or length
   * @param headerBytes its header's size: 1 in H.264, 2 in H.265
   * @param path names the structure in errors
   */
  constructor(nalUnit: Uint8Array, headerBytes: number, path: string) {
    super(withoutEmulationPrevention(nalUnit.subarray(headerBytes)), path)
  }

  /** ue(v), ITU-T H.264 §9.1; at most 2^32 - 2. */
  unsigned(): number {
    let zeros = 0
    while (this.bit() === 0) {
      if (++zeros > 31) throw this.malformed('has an Exp-Golomb code of more than 32 bits')
    }
    return 2 ** zeros - 1 + this.bits(zeros)
  }

  /** se(v), ITU-T H.264 §9.1.1. */
  signed(): number {
    const code = this.unsigned()
    return code % 2 === 0 ? -(code / 2) : (code + 1) / 2
  }
}

/** Drops the 03 of every 00 00 03. */
function withoutEmulationPrevention(bytes: Uint8Array): Uint8Array {
  const rbsp = new Uint8Array(bytes.length)
  let length = 0
  let zeros = 0
  for (const byte of bytes) {
    if (zeros >= 2 && byte === 3) {
      zeros = 0
      continue
    }
    zeros = byte === 0 ? zeros + 1 : 0
    rbsp[length++] = byte
  }
  return rbsp.subarray(0, length)
}
