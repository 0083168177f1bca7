export type { AccessKeys } from './access-keys.ts'
export type { SignedRequest } from './canonical-request.ts'
export {
  createSignatureVerifier,
  type Caller,
  type SignatureVerifier,
  type SignedPayload,
} from './sigv4.ts'
export { evaluate, parsePolicy, type AccessRequest, type Policy } from './policy.ts'
export { signRequest, type AccessKey } from './sign-request.ts'
export { requireAllowed, type AccessQuestion, type IdentityPolicies } from './require-allowed.ts'
