import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Subscriber } from 'rxjs'

/** How many values are emitted before the event loop gets its turn. */
const BATCH = 256

/** Emits to a subscriber in batches of bounded size, between which the event loop has its turn. */
export class Delivery<T> {
  readonly #subscriber: Subscriber<T>
  #emitted = 0

  constructor(subscriber: Subscriber<T>) {
    this.#subscriber = subscriber
  }

  /** Undefined, or a promise to be awaited before the next value. */
  emit(value: T): Promise<void> | undefined {
    this.#subscriber.next(value)
    return this.pause()
  }

  /** Counts a value that is emitted elsewhere. */
  pause(): Promise<void> | undefined {
    return ++this.#emitted % BATCH === 0 ? nextTurn() : undefined
  }
}

/** Completes or fails the subscriber when `work` has ended; on one that has unsubscribed both do nothing. */
export function endWith(work: Promise<void>, subscriber: Subscriber<unknown>): void {
  work.then(
    () => subscriber.complete(),
    error => subscriber.error(error),
  )
}
