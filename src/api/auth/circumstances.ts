import type { EpochMs } from '../../domain/time.ts'
import type { HttpRequest } from '../http-server.ts'
import type { Facts } from './glob.ts'
import type { AccessQuestion } from './require-allowed.ts'

/** How and when a request came: what the conditions of policies ask about, and the audit log tells. */
export type Circumstances = {
  /** Of the connection: a proxy's own behind a proxy. `null` when that is gone. */
  readonly sourceIp: string | null
  readonly secureTransport: boolean
  readonly userAgent: string | null
  readonly referer: string | null
  readonly at: EpochMs
}

export function circumstancesOf(request: HttpRequest, now: EpochMs): Circumstances {
  const { socket, headers } = request
  return {
    sourceIp: socket.remoteAddress ?? null,
    secureTransport: 'encrypted' in socket,
    userAgent: headers['user-agent'] ?? null,
    referer: headers.referer ?? null,
    at: now,
  }
}

/**
 * The global condition keys that mean something here (IAM User Guide, "AWS global condition context
 * keys"); keys of other services, networks and sessions are not evaluated.
 */
export function toFacts(question: AccessQuestion, userArn: string): Facts {
  const { accessKeyId, accountId, resource, circumstances, resourceTags } = question
  return (key) => {
    switch (key) {
      case 'aws:sourceip':
        return circumstances.sourceIp
      case 'aws:securetransport':
        return String(circumstances.secureTransport)
      case 'aws:useragent':
        return circumstances.userAgent
      case 'aws:referer':
        return circumstances.referer
      case 'aws:currenttime':
        return new Date(circumstances.at).toISOString()
      case 'aws:epochtime':
        return String(Math.floor(circumstances.at / 1000))
      case 'aws:username':
      case 'aws:userid':
        return accessKeyId
      case 'aws:principalarn':
        return userArn
      case 'aws:principaltype':
        return 'User'
      case 'aws:principalaccount':
      case 'aws:resourceaccount':
        return accountId
      case 'aws:requestedregion':
        return resource.split(':')[3] ?? null
      default:
        return resourceTags !== undefined && key.startsWith(RESOURCE_TAG)
          ? findTag(resourceTags(), key.slice(RESOURCE_TAG.length))
          : undefined
    }
  }
}

const RESOURCE_TAG = 'aws:resourcetag/'

/** IAM: the names of tags are compared without case in conditions, their values with it. */
function findTag(tags: Readonly<Record<string, string>>, lowerName: string): string | null {
  const found = Object.entries(tags).find(([name]) => name.toLowerCase() === lowerName)
  return found?.[1] ?? null
}
