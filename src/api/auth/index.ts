export type { AccessKeys } from './access-keys.ts'
export type { SignedRequest } from './canonical-request.ts'
export {
  createSignatureVerifier,
  type Caller,
  type SignatureVerifier,
  type SignedPayload,
} from './sigv4.ts'
