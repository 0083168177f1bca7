import { readFile } from 'node:fs/promises'

/**
 * How many datagrams the system has thrown away at these ports because nobody read them in time; 0
 * where it does not tell (Linux does, in /proc/net/udp).
 */
export async function countUdpDrops(ports: readonly number[]): Promise<number> {
  const tables = await Promise.all(
    ['/proc/net/udp', '/proc/net/udp6'].map((path) => readFile(path, 'utf8').catch(() => '')),
  )
  const drops = tables.map(parseUdpDrops)
  const dropsAt = (port: number) => drops.reduce((sum, table) => sum + (table.get(port) ?? 0), 0)
  return ports.reduce((sum, port) => sum + dropsAt(port), 0)
}

/**
 * Drops by local port.
 *
 * ```
 *  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt ... ref pointer drops
 * 812: 0100007F:C350 00000000:0000 07 00000000:00000000 00:00000000 00000000 ...   2 0       17
 * ```
 */
export function parseUdpDrops(table: string): ReadonlyMap<number, number> {
  const drops = new Map<number, number>()
  for (const line of table.split('\n')) {
    const [, port, count] = /^\s*\d+:\s+[0-9A-F]+:([0-9A-F]{4})\s.*\s(\d+)\s*$/.exec(line) ?? []
    if (port === undefined) continue
    const key = Number.parseInt(port, 16)
    drops.set(key, (drops.get(key) ?? 0) + Number(count))
  }
  return drops
}
