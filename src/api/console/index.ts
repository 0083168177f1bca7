export { registerConsole } from './static-files.ts'
