export type { StreamInfo, StreamRegistry } from './stream-registry.ts'
