import { expect, test } from 'vitest'
import { parseUdpDrops } from '../../../src/ingest/rtsp/udp-drops.ts'

// As Linux 6.1 prints them.
const TABLE = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  812: 0100007F:C350 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 27419 2 0000000000000000 17        
  813: 0100007F:C351 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 27420 2 0000000000000000 0         
  813: 0200007F:C350 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 27421 2 0000000000000000 3         
`
const TABLE_6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  814: 00000000000000000000000001000000:C352 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 27422 2 0000000000000000 5
`

test.each([
  {
    rule: 'IPv4, all sockets of a port together',
    table: TABLE,
    is: [
      [50_000, 20],
      [50_001, 0],
    ],
  },
  { rule: 'IPv6', table: TABLE_6, is: [[50_002, 5]] },
  { rule: 'no table', table: '', is: [] },
  { rule: 'something else', table: 'a: b c\n1: zz:C350 5\n', is: [] },
])('$rule', ({ table, is }) => {
  expect([...parseUdpDrops(table)]).toEqual(is)
})
