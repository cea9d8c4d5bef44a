import type { Chunk } from '../types.js'

const done = { value: undefined, done: true } as const

/** The chunks of a consumer as an iterator. Concurrent calls of `next()` are answered in their order. */
export class ChunkIterator<T> implements AsyncIterableIterator<Chunk<T>, void, undefined> {
  readonly #next: () => Promise<Chunk<T> | undefined>
  readonly #end: () => void
  #last: Promise<unknown> = Promise.resolve()
  #ended = false

  constructor(next: () => Promise<Chunk<T> | undefined>, end: () => void) {
    this.#next = next
    this.#end = end
  }

  next(): Promise<IteratorResult<Chunk<T>, void>> {
    const result = this.#last.then(() => this.#step())
    this.#last = result.catch(() => undefined) // The caller gets it.
    return result
  }

  return(): Promise<IteratorResult<Chunk<T>, void>> {
    this.#finish()
    return Promise.resolve(done)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #step(): Promise<IteratorResult<Chunk<T>, void>> {
    if (this.#ended) return done
    try {
      const value = await this.#next()
      if (value !== undefined) return { value, done: false }
    } catch (error) {
      this.#finish()
      throw error
    }
    this.#finish()
    return done
  }

  #finish(): void {
    this.#ended = true
    this.#end()
  }
}
