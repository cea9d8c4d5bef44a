import type { CursorOptions, LogCursor } from '../contract.js'
import type { Chunk } from '../types.js'
import type { StoreTerms } from './checkpoint.js'
import type { ActiveReader, ConsumerState, Start } from './state.js'

export interface ReaderParts<T> {
  state: ConsumerState<T>
  /** Where it begins without a checkpoint. */
  start: Start
  cursor: Omit<CursorOptions<T>, 'from' | 'live'>
  terms: StoreTerms
  /** Told of every range read, also where the filter left nothing of it, before the chunk is handed out. */
  onRead: (chunk: Chunk<T>) => void
}

/** Reads a consumer's entries from its position on. Active under its name from the first read to its end. */
export class ConsumerReader<T> implements ActiveReader {
  readonly #parts: ReaderParts<T>
  #cursor: LogCursor<T> | undefined
  /** The `seek` its cursor was opened after. */
  #generation = -1
  #closed = false
  #reason: unknown
  #began = false

  constructor(parts: ReaderParts<T>) {
    this.#parts = parts
  }

  /** The next chunk with entries in it; undefined at a clean end. Not to be called again before it has settled. */
  async next(): Promise<Chunk<T> | undefined> {
    try {
      const chunk = await this.#read()
      if (chunk === undefined) this.release()
      return chunk
    } catch (error) {
      this.release()
      throw error
    }
  }

  /**
   * Reads no more: a pending `next()` resolves undefined, or rejects with `reason` when one is given. The name is not free yet, what
   * was handed out may still be worked on.
   */
  close(reason?: unknown): void {
    if (this.#closed) return
    this.#closed = true
    this.#reason = reason
    this.#cursor?.close()
  }

  /** Reads no more and frees the name. */
  release(): void {
    this.close()
    this.#parts.state.deactivate(this)
  }

  interrupt(): void {
    this.#cursor?.close()
  }

  async #read(): Promise<Chunk<T> | undefined> {
    const { state, onRead, terms } = this.#parts
    for (;;) {
      if (this.#closed) return this.#end()
      state.activate(this)
      const cursor = await this.#cursorNow()
      const chunk = this.#closed ? undefined : await cursor.next()
      if (this.#closed) return this.#end()
      // Sought meanwhile: what was read is given up.
      if (state.generation !== this.#generation) continue
      if (chunk === undefined) return undefined
      if (!this.#began) state.began(chunk.firstIndex, terms)
      this.#began = true
      onRead(chunk)
      if (chunk.length > 0) return chunk
    }
  }

  async #cursorNow(): Promise<LogCursor<T>> {
    const { state, start, cursor, terms } = this.#parts
    while (this.#cursor === undefined || state.generation !== this.#generation) {
      this.#cursor?.close()
      this.#generation = state.generation
      this.#began = false
      this.#cursor = await state.openCursor(start, { ...cursor, live: true }, terms)
    }
    return this.#cursor
  }

  #end(): undefined {
    if (this.#reason !== undefined) throw this.#reason
  }
}
