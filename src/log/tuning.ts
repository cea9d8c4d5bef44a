import { ARENA_BYTES } from '../codec/kernel.js'
import type { ZeroAheadPolicy } from '../segments/zero-ahead.js'

/** Sizes that nobody sets but tests, which must reach with kilobytes what a busy log reaches with megabytes. */
export interface Tuning {
  /** A commit is complete when the next entry would make it longer than this. */
  commitMaxBytes: number
  zeroAhead: ZeroAheadPolicy
}

export const defaultTuning: Tuning = {
  commitMaxBytes: ARENA_BYTES,
  zeroAhead: { afterBytes: 64 * 1024, maxBytes: 1024 * 1024 },
}
