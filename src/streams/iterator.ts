import { onAbort } from '../abort.js'
import type { LogCursor, LogReader } from '../contract.js'
import type { WalError } from '../errors.js'
import type { Chunk, Cursor, Entry } from '../types.js'
import { closedError } from './ending.js'
import type { ReadRequest } from './read-options.js'

/**
 * Iterates a log's entries, or its chunks. The position is fixed at the call; that it is out of range, or that the log is
 * closed, is told by the first `next()`, as everything else that goes wrong.
 */
export function iterate<T>(log: LogReader<T>, request: ReadRequest<T>): Cursor<T> {
  return new EntryCursor(log, request)
}

const done = { value: undefined, done: true } as const
const nothing: Chunk<never> = Object.freeze(Object.assign([], { firstIndex: 0, lastIndex: 0 }))

/**
 * Written by hand because an async generator takes a third longer: as long as a chunk lasts, an entry costs a result object
 * and a promise that is resolved already.
 */
class EntryCursor<T> implements Cursor<T> {
  /** Undefined when it could not be opened, `#failure` says why. */
  readonly #cursor: LogCursor<T> | undefined
  /** What the next read rejects with; it is told once. */
  #failure: { readonly error: unknown } | undefined
  #unsubscribe: () => void = () => undefined
  #ended = false
  /** How it is being read; the other way is then a TypeError. */
  #mode: 'entries' | 'chunks' | undefined

  #chunk: Chunk<T> = nothing
  /** Place in `#chunk` of the entry that is handed out next. */
  #position = 0
  /** Place in `#chunk` where handing out stops: its length, or `#position` once the cursor was closed or aborted. */
  #limit = 0
  /** Where the chunk starts that is being read, or was when the reading ended. */
  #readingFrom: number | undefined

  /** The chunk that is on its way holds entries that were removed; the cursor reads on from before it. */
  #dropNext = false

  /** Calls that have not settled; as long as there is one, the next waits for its turn. */
  #waiting = 0
  #lastCall: Promise<void> = Promise.resolve()

  constructor(log: LogReader<T>, { cursor, signal }: ReadRequest<T>) {
    try {
      signal?.throwIfAborted()
      this.#cursor = log.cursor({
        ...cursor,
        mayShare: () => this.#mode === 'chunks',
        onTakenBack: (kept, next) => this.#takenBack(kept, next),
      })
      const leaves = [signal && onAbort(signal, reason => this.#abort(reason))]
      if (!cursor.live) leaves.push(log.onEnd(error => this.#logEnded(error, log.directory)))
      this.#unsubscribe = () => {
        for (const leave of leaves) leave?.()
      }
    } catch (error) {
      this.#failure = { error }
    }
  }

  get nextIndex(): number {
    if (this.#position === this.#chunk.length) return this.#readingFrom ?? this.#cursor?.nextIndex ?? 0
    const last = this.#chunk[this.#position - 1]
    return last === undefined ? this.#chunk.firstIndex : last.index + 1
  }

  get caughtUp(): boolean {
    return this.#cursor?.caughtUp ?? false
  }

  next(): Promise<IteratorResult<Entry<T>, void>> {
    if (this.#position < this.#limit && this.#waiting === 0) {
      return Promise.resolve({ value: this.#chunk[this.#position++] as Entry<T>, done: false })
    }
    if (this.#mode === 'chunks') return Promise.reject(this.#inUse())
    this.#mode = 'entries'
    return this.#inTurn(this.#nextEntry)
  }

  chunks(): AsyncIterableIterator<Chunk<T>, void, undefined> {
    if (this.#mode !== undefined) throw this.#inUse()
    this.#mode = 'chunks'
    return new ChunkIterator(
      () => this.#inTurn(this.#nextChunk),
      () => this.#close(),
    )
  }

  /** Does not wait for its turn: it is what ends a `next()` that waits for entries to come. */
  return(): Promise<IteratorResult<Entry<T>, void>> {
    this.#close()
    return Promise.resolve(done)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  readonly #nextEntry = (): Promise<IteratorResult<Entry<T>, void>> =>
    this.#position < this.#limit ? Promise.resolve(this.#entryInHand()) : this.#load(this.#entryInHand)

  readonly #nextChunk = (): Promise<IteratorResult<Chunk<T>, void>> => this.#load(this.#chunkInHand)

  readonly #entryInHand = (): IteratorResult<Entry<T>, void> => ({
    value: this.#chunk[this.#position++] as Entry<T>,
    done: false,
  })

  readonly #chunkInHand = (): IteratorResult<Chunk<T>, void> => {
    this.#position = this.#limit
    return { value: this.#chunk, done: false }
  }

  /** Reads the next chunk that has entries, and hands out what `handOut` takes of it. */
  #load<R>(handOut: () => IteratorResult<R, void>): Promise<IteratorResult<R, void>> {
    if (this.#failure !== undefined && !this.#ended) return Promise.reject(this.#fail(this.#failure.error))
    if (this.#ended || this.#cursor === undefined) return Promise.resolve(done)
    this.#readingFrom = this.#cursor.nextIndex
    return this.#cursor.next().then(
      chunk => {
        const isStale = this.#dropNext
        this.#dropNext = false
        if (chunk === undefined) this.#close()
        else if (!isStale && chunk.length > 0 && this.#take(chunk)) return handOut()
        return this.#load(handOut)
      },
      error => {
        throw this.#fail(error)
      },
    )
  }

  #fail(error: unknown): unknown {
    this.#close()
    return error
  }

  /** False when the cursor was closed or aborted while the chunk was on its way. */
  #take(chunk: Chunk<T>): boolean {
    if (this.#ended || this.#failure) return false
    this.#chunk = chunk
    this.#position = 0
    this.#limit = chunk.length
    this.#readingFrom = undefined
    return true
  }

  #inTurn<R>(step: () => Promise<R>): Promise<R> {
    const turn = this.#waiting++ === 0 ? step() : this.#lastCall.then(step)
    this.#lastCall = turn.then(this.#settled, this.#settled)
    return turn
  }

  readonly #settled = () => {
    this.#waiting--
  }

  #abort(reason: unknown): void {
    this.#failure = { error: reason }
    this.#limit = this.#position
    this.#cursor?.close(reason)
  }

  /** A bounded one that ends has handed out everything: one that the log's closing stops midway fails. */
  #logEnded(error: WalError | undefined, directory: string): void {
    if (error === undefined && this.#position < this.#limit) this.#abort(closedError(directory))
  }

  /** Entries above `kept` were removed: of the chunk in hand they are dropped. Returns the last index that was or will be handed out. */
  #takenBack(kept: number, next: number): number {
    const handedOut = this.nextIndex - 1
    if (this.#readingFrom !== undefined) {
      this.#dropNext = next > this.#readingFrom
      return handedOut
    }
    let limit = this.#position
    while (limit < this.#limit && (this.#chunk[limit]?.index ?? 0) <= kept) limit++
    this.#limit = limit
    return Math.max(handedOut, Math.min(this.#chunk.lastIndex, kept))
  }

  #close(): void {
    this.#ended = true
    this.#limit = this.#position
    this.#unsubscribe()
    this.#cursor?.close()
  }

  #inUse(): TypeError {
    return new TypeError(`this cursor already hands out ${this.#mode}; a cursor is read once, in one way`)
  }
}

class ChunkIterator<T> implements AsyncIterableIterator<Chunk<T>, void, undefined> {
  readonly #next: () => Promise<IteratorResult<Chunk<T>, void>>
  readonly #close: () => void

  constructor(next: () => Promise<IteratorResult<Chunk<T>, void>>, close: () => void) {
    this.#next = next
    this.#close = close
  }

  next(): Promise<IteratorResult<Chunk<T>, void>> {
    return this.#next()
  }

  return(): Promise<IteratorResult<Chunk<T>, void>> {
    this.#close()
    return Promise.resolve(done)
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
