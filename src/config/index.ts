export { toConfigReference } from './reference.ts'
export { configSchema, type Config } from './schema.ts'
export { isLoopback, loadConfig, toClientHost, toHttpUrl } from './load.ts'
