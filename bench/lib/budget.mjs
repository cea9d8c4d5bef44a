// @ts-check
// A body runs for a number of seconds or up to a number of entries, whichever comes first: slow and fast peers then
// cost the same time, and their rates are comparable.

export class Budget {
  /** @param {{ seconds: number, maxCount?: number }} limits */
  constructor({ seconds, maxCount = Number.POSITIVE_INFINITY }) {
    this.seconds = seconds
    this.maxCount = maxCount
  }

  /** A budget of the given fraction, for warming up. @param {number} fraction */
  part(fraction) {
    return new Budget({ seconds: this.seconds * fraction, maxCount: Math.ceil(this.maxCount * fraction) })
  }

  start() {
    return new Clock(this)
  }
}

class Clock {
  #budget
  #started = performance.now()

  /** @param {Budget} budget */
  constructor(budget) {
    this.#budget = budget
  }

  /** @param {number} count entries done so far */
  over(count) {
    return count >= this.#budget.maxCount || performance.now() - this.#started >= this.#budget.seconds * 1000
  }

  /** @param {number} count @param {number} bytesPerEntry */
  rate(count, bytesPerEntry) {
    const seconds = (performance.now() - this.#started) / 1000
    return {
      count,
      seconds,
      perSecond: count / seconds,
      nsPerEntry: (seconds / count) * 1e9,
      mbPerSecond: (count * bytesPerEntry) / seconds / 1e6,
    }
  }
}
