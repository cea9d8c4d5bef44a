import type { Finding } from './types.js'

/** The closed list of error codes; docs/ERRORS.md says for each what happened and what to do. */
export type WalErrorCode =
  | 'WAL_CLOSED'
  | 'WAL_LOCKED'
  | 'WAL_READ_ONLY'
  | 'WAL_NOT_FOUND'
  | 'WAL_IO'
  | 'WAL_NO_SPACE'
  | 'WAL_FAILED'
  | 'WAL_CORRUPT'
  | 'WAL_TRUNCATED'
  | 'WAL_INDEX_OUT_OF_RANGE'
  | 'WAL_WRONG_EXPECTED_INDEX'
  | 'WAL_ENTRY_TOO_LARGE'
  | 'WAL_BATCH_TOO_LARGE'
  | 'WAL_BACKPRESSURE'
  | 'WAL_OUTCOME_UNKNOWN'
  | 'WAL_INVALID_ENTRY'
  | 'WAL_INVALID_OPTION'
  | 'WAL_MISMATCH'
  | 'WAL_UNSUPPORTED_VERSION'
  | 'WAL_TRANSACTION_CLOSED'
  | 'WAL_TRANSACTION_EXPIRED'
  | 'WAL_CONSUMER_ACTIVE'
  | 'WAL_TIMEOUT'

/** Where an error happened; every field is optional and only set when it is known. */
export interface WalErrorDetails {
  cause?: unknown
  index?: number
  firstIndex?: number
  lastIndex?: number
  lost?: 'before' | 'after'
  segment?: string
  offset?: number
  kind?: Finding['kind']
}

/** The one error class of the library. Switch on `code`; the message names the file, what was found and what to do. */
export class WalError extends Error {
  readonly code: WalErrorCode
  /** Index of the entry concerned. */
  declare readonly index?: number
  /** First index of the range concerned. */
  declare readonly firstIndex?: number
  /** Last index of the range concerned. */
  declare readonly lastIndex?: number
  /** With `WAL_TRUNCATED`: whether the lost entries lay before or after what is kept. */
  declare readonly lost?: 'before' | 'after'
  /** Path of the segment file concerned. */
  declare readonly segment?: string
  /** Byte offset in that file. */
  declare readonly offset?: number
  /** With `WAL_CORRUPT`: what kind of damage it is. */
  declare readonly kind?: Finding['kind']

  constructor(code: WalErrorCode, message: string, details: WalErrorDetails = {}) {
    const { cause, ...coordinates } = details
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'WalError'
    this.code = code
    for (const [key, value] of Object.entries(coordinates)) {
      if (value !== undefined) Object.assign(this, { [key]: value })
    }
  }
}
