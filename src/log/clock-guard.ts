import type { Clock } from '../clock.js'

/** Wall clock and monotonic clock may drift apart by this much before the wall clock counts as set by somebody. */
const TOLERANCE_MS = 60_000

/** Notices when the time of day was set, forward or back, while the log was open. */
export class ClockGuard {
  readonly #clock: Clock
  readonly #offset: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#offset = clock.now() - clock.monotonic()
  }

  /** How far the wall clock is ahead of where the monotonic clock says it should be; negative: behind. Milliseconds. */
  get jumpMs(): number {
    return this.#clock.now() - this.#clock.monotonic() - this.#offset
  }

  /** Whether ages computed from stored times mean anything. */
  get isSound(): boolean {
    return Math.abs(this.jumpMs) <= TOLERANCE_MS
  }
}
