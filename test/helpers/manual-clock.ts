import type { Clock } from '../../src/clock.js'

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #now = 0
  #set = 0
  readonly timers = new Set<{ at: number; callback: () => void }>()

  // Bound, as those of the system clock are: some take them for themselves.
  readonly now = (): number => this.#now + this.#set
  readonly monotonic = (): number => this.#now

  setTimer(callback: () => void, delayMs: number): () => void {
    const timer = { at: this.#now + delayMs, callback }
    this.timers.add(timer)
    return () => this.timers.delete(timer)
  }

  /** How long from now until each timer is due. */
  delays(): number[] {
    return [...this.timers].map(({ at }) => at - this.#now)
  }

  /** Moves on and calls back what has become due. */
  advance(ms: number): void {
    this.#now += ms
    for (const timer of [...this.timers].sort((a, b) => a.at - b.at)) {
      if (timer.at <= this.#now && this.timers.delete(timer)) timer.callback()
    }
  }

  /** Somebody sets the time of day forward or, with a negative number, back. */
  set(byMs: number): void {
    this.#set += byMs
  }

  /** Moves on as while the event loop is busy: no timer runs. */
  block(ms: number): void {
    this.#now += ms
  }
}
