export { configSchema, type Config } from './schema.ts'
export { isLoopback, loadConfig } from './load.ts'
