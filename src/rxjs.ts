export type { Entry } from './types.js'
