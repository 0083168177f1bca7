import { BlockList, isIPv6 } from 'node:net'

/** Special-purpose ranges that are not globally reachable (IANA registries, RFC 6890 and later). */
const NOT_PUBLIC: readonly (readonly [address: string, prefix: number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  // All but the global unicast block 2000::/3, and what inside it leads elsewhere or nowhere.
  ['::', 3],
  ['4000::', 2],
  ['8000::', 1],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

/**
 * Whether an IP address is on the public internet. IPv4 inside IPv6 (mapped, translated, 6to4) is
 * not: no public receiver needs to be reached that way.
 */
export function isPublicAddress(address: string): boolean {
  return isIPv6(address)
    ? !NOT_PUBLIC_IPV6.check(address, 'ipv6')
    : !NOT_PUBLIC_IPV4.check(address, 'ipv4')
}

// Two lists: a BlockList looks an IPv4 address up among the IPv6 ranges too, as ::ffff:a.b.c.d.
const NOT_PUBLIC_IPV4 = toBlockList('ipv4')
const NOT_PUBLIC_IPV6 = toBlockList('ipv6')

function toBlockList(family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList()
  for (const [address, prefix] of NOT_PUBLIC) {
    if (isIPv6(address) === (family === 'ipv6')) list.addSubnet(address, prefix, family)
  }
  return list
}
