/** An FLV file of these tags: type, timestamp, body (Adobe FLV 10.1, Annex E.2, E.3). */
export function flvFile(
  tags: readonly (readonly [type: number, timestamp: number, body: Uint8Array])[],
): Buffer {
  const parts = tags.flatMap(([type, timestamp, body]) => {
    const head = Buffer.alloc(11)
    head[0] = type
    head.writeUIntBE(body.length, 1, 3)
    head.writeUIntBE(timestamp & 0xff_ffff, 4, 3)
    head[7] = timestamp >>> 24
    const back = Buffer.alloc(4)
    back.writeUInt32BE(11 + body.length)
    return [head, body, back]
  })
  return Buffer.concat([Buffer.from('464c5601050000000900000000', 'hex'), ...parts])
}
