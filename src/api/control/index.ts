export { createAccess, type Access } from './access.ts'
export { registerControlApi, type ControlApiOptions } from './control-api.ts'
export { toHttpFailure, type HttpFailure } from './errors.ts'
export { registerOperations } from './operations.ts'
