import type { Writable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { checkOptions, oneOf } from '../check-options.js'
import type { Log } from '../contract.js'
import { WalError } from '../errors.js'
import type { EntryInput } from '../types.js'
import { destroyedError, settle } from './ending.js'

export interface InputOptions {
  /** `'data'` (default): a chunk is an entry's data. `'entry'`: a chunk is `{ data, term?, timestamp? }`. */
  input?: 'data' | 'entry'
}

type Callback = (error?: Error | null) => void

/**
 * Chunks taken in one go before the event loop gets a turn. A source that is never out of chunks would keep the loop from writing
 * what was accepted, and from hearing that it was written, until the high-water mark is reached.
 */
const CHUNKS_PER_TURN = 1024

/**
 * The way in for streams: accepts chunks one by one and holds the callback back while the log is above its high-water mark, or
 * paused for want of space. So never more than the mark and one chunk are accepted and not committed.
 */
export class Admission<In> {
  readonly #log: Log<unknown, In>
  readonly #accept: (chunk: unknown) => void
  #chunksThisTurn = 0
  /** Ends the wait that is under way. */
  #endWait: ((error: Error | undefined) => void) | undefined

  constructor(log: Log<unknown, In>, accept: (chunk: unknown) => void) {
    this.#log = log
    this.#accept = accept
  }

  admit(chunk: unknown, callback: Callback): void {
    let accepted: boolean
    try {
      accepted = this.#hasAccepted(chunk)
    } catch (error) {
      callback(error as Error)
      return
    }
    if (accepted) this.#finish(callback)
    else this.#retryLater(() => this.admit(chunk, callback), callback)
  }

  admitAll(chunks: readonly { chunk: unknown }[], callback: Callback, first = 0): void {
    let next = first
    try {
      while (next < chunks.length && this.#hasAccepted(chunks[next]?.chunk)) next++
    } catch (error) {
      callback(error as Error)
      return
    }
    if (next === chunks.length) this.#finish(callback)
    else this.#retryLater(() => this.admitAll(chunks, callback, next), callback)
  }

  /** Whether a callback is being held back. */
  get isWaiting(): boolean {
    return this.#endWait !== undefined
  }

  /** The stream was destroyed: nothing more is accepted, a callback that is held back is called. */
  stop(error: Error | null): void {
    this.#endWait?.(error ?? undefined)
  }

  /** False when the log has no room now. */
  #hasAccepted(chunk: unknown): boolean {
    if (this.#log.writableNeedDrain) return false
    try {
      this.#accept(chunk)
      this.#chunksThisTurn++
      return true
    } catch (error) {
      if (error instanceof WalError && error.code === 'WAL_NO_SPACE') return false
      throw error
    }
  }

  #finish(callback: Callback): void {
    // All is accepted, whatever happens while waiting; what happens reaches the stream by other ways.
    if (this.#log.writableNeedDrain) this.#wait(this.#log.drained(), () => callback())
    else if (this.#chunksThisTurn < CHUNKS_PER_TURN) callback()
    else this.#wait(nextTurn(), () => callback())
  }

  #retryLater(retry: () => void, callback: Callback): void {
    this.#wait(this.#log.drained(), (error, stopped) => {
      if (error || stopped) callback(error ?? destroyedError())
      else retry()
    })
  }

  #wait(event: Promise<void>, then: (error: Error | undefined, stopped: boolean) => void): void {
    this.#chunksThisTurn = 0
    let over = false
    const end = (error: Error | undefined, stopped: boolean) => {
      if (over) return
      over = true
      this.#endWait = undefined
      then(error, stopped)
    }
    this.#endWait = error => end(error, true)
    settle(event, error => end(error, false))
  }
}

/**
 * What `write()` answers. A stream counts its own buffer only, and would ask for more while the callback is held back of an entry
 * that the log has accepted already.
 */
export function answerWrite(stream: Writable, more: boolean, isHolding: boolean): boolean {
  if (!isHolding) return more
  ;(stream as unknown as { _writableState: { needDrain: boolean } })._writableState.needDrain = true
  return false
}

/** How a chunk becomes an entry of the log; `call` is for messages. */
export function acceptorOf<In>(call: string, log: Log<unknown, In>, options: InputOptions): (chunk: unknown) => number {
  checkOptions(call, options, { input: oneOf('data', 'entry') })
  if (options.input !== 'entry') return chunk => log.accept(chunk as In)
  return chunk => {
    if (typeof chunk !== 'object' || chunk === null) {
      const message = `with input: 'entry' a chunk of ${call} is { data, term?, timestamp? }, got ${String(chunk)}`
      throw Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_TYPE' })
    }
    const { data, term, timestamp } = chunk as EntryInput<In>
    return log.accept(data, { term, timestamp })
  }
}
