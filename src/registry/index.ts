export {
  DIGEST_REALM,
  type DigestAlgorithm,
  type StreamInfo,
  type StreamRegistry,
} from './stream-registry.ts'
export { openStreamRegistry } from './meta-stream-registry.ts'
export { openCredentials, type Credentials } from './credentials.ts'
