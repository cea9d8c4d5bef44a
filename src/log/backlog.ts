import { type Deferred, deferred } from './deferred.js'

/** What is accepted and not committed: the one number that back-pressure goes by, and those who wait for it to fall. */
export class Backlog {
  readonly #highWaterMark: number
  readonly #onDrain: () => void
  #waiting: Deferred<void>[] = []
  /** The mark was passed and nobody was told yet that it is over. */
  #passed = false
  bytes = 0
  entries = 0

  constructor(highWaterMark: number, onDrain: () => void) {
    this.#highWaterMark = highWaterMark
    this.#onDrain = onDrain
  }

  get isAboveMark(): boolean {
    return this.bytes > this.#highWaterMark
  }

  add(bytes: number, entries: number): void {
    this.bytes += bytes
    this.entries += entries
    if (this.isAboveMark) this.#passed = true
  }

  remove(bytes: number, entries: number): void {
    this.bytes -= bytes
    this.entries -= entries
  }

  /** Resolves when `settle` finds half the mark or less. */
  wait(): Promise<void> {
    const waiter = deferred<void>()
    this.#waiting.push(waiter)
    return waiter.promise
  }

  /** Tells those who wait, once there is little enough. */
  settle(): void {
    if (this.bytes > this.#highWaterMark / 2) return
    for (const waiter of this.#waiting.splice(0)) waiter.resolve()
    if (!this.#passed) return
    this.#passed = false
    this.#onDrain()
  }

  rejectWaiters(reason: unknown): void {
    for (const waiter of this.#waiting.splice(0)) waiter.reject(reason)
  }

  clear(): void {
    this.bytes = this.entries = 0
  }
}
