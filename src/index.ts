export { WalError, type WalErrorCode } from './errors.js'
export type * from './types.js'
