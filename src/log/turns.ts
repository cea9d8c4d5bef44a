/** A reader that hands something out when it is its turn. Never throws. */
export interface TurnTaker {
  takeTurn(): void
}

/**
 * Lets the readers of a log hand out their chunks one after the other, with a turn of the microtask queue between, in which whoever
 * got the last one deals with it. When a commit wakes a thousand readers, a few chunks are alive at a time instead of a thousand:
 * they die in the collector's young generation, and memory does not grow with the number of readers.
 */
export class Turns {
  #waiting: TurnTaker[] = []
  #isRunning = false

  /** Gives `taker` a turn, never within the call. */
  ask(taker: TurnTaker): void {
    this.#waiting.push(taker)
    if (!this.#isRunning) void this.#run()
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#waiting.length > 0) {
      const round = this.#waiting
      this.#waiting = []
      for (const taker of round) {
        await undefined
        taker.takeTurn()
      }
    }
    this.#isRunning = false
  }
}
