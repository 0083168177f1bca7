import { createOpenAccess } from './open-access.ts'
import { createSignatureVerifier, type SignatureVerifier, type VerifierOptions } from './sigv4.ts'

/** How an API learns who calls. */
export type Authentication = Omit<VerifierOptions, 'service'> & {
  /** Hosts by which requests are taken without a signature; absent: every request is verified. */
  readonly openTo?: readonly string[] | undefined
}

export function createVerifier(
  service: string,
  { openTo, ...options }: Authentication,
): SignatureVerifier {
  return openTo === undefined
    ? createSignatureVerifier({ service, ...options })
    : createOpenAccess(openTo)
}
