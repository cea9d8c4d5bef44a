import { onAbort } from '../abort.js'
import type { LogCursor, LogReader } from '../contract.js'
import type { Chunk, EntryStream } from '../types.js'
import { abortError, disposeStream } from './ending.js'
import { Readable } from './node-stream.js'
import type { ReadRequest } from './read-options.js'

/**
 * A log's entries as a Readable in object mode. The position is fixed at the call; that it is out of range is told when the stream
 * is first read. A signal destroys it as `stream.addAbortSignal` does.
 */
export function readable<T>(log: LogReader<T>, request: ReadRequest<T>): EntryStream<T> {
  return new LogReadable(log, request)
}

class LogReadable<T> extends Readable implements EntryStream<T> {
  #cursor: LogCursor<T> | undefined
  /** Why there is no cursor. */
  #failure: unknown
  #unsubscribe: () => void = () => undefined
  /** A chunk is being read or pushed. */
  #busy = false
  /** More was asked for meanwhile. */
  #wanted = false

  constructor(log: LogReader<T>, { cursor, signal }: ReadRequest<T>) {
    // A mark of 1: the log's chunks are pushed whole, and the next one is read when the last is gone.
    super({ objectMode: true, highWaterMark: 1 })
    if (signal?.aborted) {
      this.destroy(abortError(signal.reason))
      return
    }
    try {
      this.#cursor = log.cursor(cursor)
    } catch (error) {
      this.#failure = error
    }
    if (signal) this.#unsubscribe = onAbort(signal, reason => this.destroy(abortError(reason)))
  }

  override _read(): void {
    this.#wanted = this.#busy
    if (this.#busy) return
    this.#busy = true
    // Each in a tick of its own: what a listener throws is then an uncaught exception, as with any stream.
    this.#nextChunk().then(
      chunk => process.nextTick(() => this.#deliver(chunk)),
      error => process.nextTick(() => this.destroy(error)),
    )
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#unsubscribe()
    this.#cursor?.close()
    callback(error)
  }

  override [Symbol.asyncDispose](): Promise<void> {
    return disposeStream(this, this.readableEnded)
  }

  async #nextChunk(): Promise<Chunk<T> | undefined> {
    if (this.#cursor) return this.#cursor.next()
    throw this.#failure
  }

  #deliver(chunk: Chunk<T> | undefined): void {
    if (this.destroyed) return
    if (chunk === undefined) {
      this.push(null)
      return
    }
    for (const entry of chunk) this.push(entry)
    this.#busy = false
    if (chunk.length === 0 || this.#wanted) this._read()
  }
}
