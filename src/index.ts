export { bytes, json, text } from './codec/encoding.js'
export { WalError, type WalErrorCode } from './errors.js'
export { lines } from './streams/lines.js'
export type * from './types.js'
