import { ServiceError } from '../../domain/errors.ts'
import { headerOf, type SignedRequest } from '../../platform/sigv4/canonical-request.ts'
import type { SignatureVerifier } from './sigv4.ts'

/**
 * Takes every request without looking at its signature: for a port that only this machine reaches.
 * A web page elsewhere reaches it too, through the browser of somebody here: by a name of its own that
 * resolves to 127.0.0.1, or by a form. So the Host has to be one of ours, and the Origin if there is
 * one.
 *
 * @param hosts lower-case names without port
 */
export function createOpenAccess(hosts: readonly string[]): SignatureVerifier {
  return {
    verify(request) {
      const origin = headerOf(request, 'origin')
      if (!hosts.includes(hostNameOf(request)) || (origin !== null && !isOurs(origin, hosts))) {
        throw new ServiceError(
          'permission-denied',
          'AccessDeniedException',
          'Without signatures the service answers only to its own address.',
        )
      }
      return { accessKeyId: claimedKey(request) ?? 'anonymous' }
    },
  }
}

/** Of the Host header, without the port. */
export function hostNameOf(request: Pick<SignedRequest, 'headers'>): string {
  return (headerOf(request, 'host') ?? '').replace(/:[0-9]+$/, '').toLowerCase()
}

function isOurs(origin: string, hosts: readonly string[]): boolean {
  return URL.canParse(origin) && hosts.includes(new URL(origin).hostname)
}

/** Whose it says it is: for the audit log, and for policies that are being tried out. */
function claimedKey(request: SignedRequest): string | null {
  const authorization = headerOf(request, 'authorization') ?? ''
  return /Credential=([A-Za-z0-9]{1,128})\//.exec(authorization)?.[1] ?? null
}
