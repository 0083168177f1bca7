export type { AccessKeys, AccessKeyTerms } from './access-keys.ts'
export { circumstancesOf, type Circumstances } from './circumstances.ts'
export type { SignedRequest } from '../../platform/sigv4/canonical-request.ts'
export { hostNameOf } from './open-access.ts'
export {
  createSignatureVerifier,
  hashedPayload,
  type Caller,
  type SignatureVerifier,
  type SignedPayload,
} from './sigv4.ts'
export { createVerifier } from './verifier.ts'
export { evaluate, parsePolicy, type AccessRequest, type Policy } from './policy.ts'
export { signRequest, type AccessKey } from '../../platform/sigv4/sign-request.ts'
export { requireAllowed, type AccessQuestion, type IdentityPolicies } from './require-allowed.ts'
