import { onAbort } from '../abort.js'
import type { Clock } from '../clock.js'
import type { Chunk, Entry, RunOptions } from '../types.js'
import type { ConsumerReader } from './reader.js'

const DEFAULT_RETRY = { attempts: 10, minDelayMs: 100, maxDelayMs: 10_000 }
const DECISIONS: readonly unknown[] = ['stop', 'retry', 'skip']

export interface RunParts<T> {
  reader: ConsumerReader<T>
  handler: (entries: Chunk<T>, context: { signal: AbortSignal }) => unknown
  options: RunOptions<T>
  clock: Clock
  /** Told before the handler is given something: what it is given counts as handed out last. */
  offer: (chunk: Chunk<T>) => void
  /** Told when the handler is done with it. Throws when positions can no longer be stored. */
  done: (chunk: Chunk<T>) => void
  skipped: (index: number, error: unknown) => void
}

/** Gives a handler one chunk after the other, and deals with its failures. */
export class Run<T> {
  /** Settles as `run()` does. */
  readonly ended: Promise<void>
  readonly #parts: RunParts<T>
  readonly #retry: typeof DEFAULT_RETRY
  readonly #stop = new AbortController()
  /** The handler is in its synchronous part: whoever stops the run from there cannot wait for its end. */
  #isInCall = false

  constructor(parts: RunParts<T>) {
    this.#parts = parts
    this.#retry = { ...DEFAULT_RETRY, ...parts.options.retry }
    this.ended = this.#run()
  }

  get isWaitedFor(): boolean {
    return !this.#isInCall
  }

  reads(reader: ConsumerReader<T>): boolean {
    return this.#parts.reader === reader
  }

  /** Lets the handler finish what it has, then ends. */
  stop(reason?: unknown): void {
    if (this.#stop.signal.aborted) return
    this.#stop.abort(reason)
    this.#parts.reader.close()
  }

  async #run(): Promise<void> {
    const { reader, options } = this.#parts
    const unsubscribe = options.signal && onAbort(options.signal, reason => this.stop(reason))
    try {
      for (;;) {
        const chunk = await reader.next()
        if (chunk === undefined || !(await this.#process(chunk))) return
      }
    } finally {
      unsubscribe?.()
    }
  }

  /** False when the run was stopped before the chunk was processed. */
  async #process(chunk: Chunk<T>): Promise<boolean> {
    const failure = await this.#attempt(chunk)
    if (failure === undefined) {
      this.#parts.done(chunk)
      return true
    }
    if (this.#stop.signal.aborted) return false
    return this.#processEach(chunk, failure)
  }

  /** One by one, so that only the entries that fail by themselves are judged. */
  async #processEach(chunk: Chunk<T>, failure: Failure): Promise<boolean> {
    for (const [place, entry] of chunk.entries()) {
      // What the filter dropped goes with the entry before it, and at the front of the chunk with the first.
      const lastIndex = (chunk[place + 1]?.index ?? chunk.lastIndex + 1) - 1
      const piece = Object.assign([entry], { firstIndex: entry.index, lastIndex })
      if (!(await this.#processOne(entry, piece, chunk.length === 1 ? failure : undefined))) return false
    }
    return true
  }

  /** `known`: the handler has been given just this entry already, and failed. */
  async #processOne(entry: Entry<T>, piece: Chunk<T>, known: Failure | undefined): Promise<boolean> {
    let failure = known ?? (await this.#attempt(piece))
    for (let attempt = 1; failure !== undefined; attempt++) {
      if (this.#stop.signal.aborted) return false
      const decision = await this.#decide(failure.error, entry)
      if (decision === 'skip') {
        this.#parts.skipped(entry.index, failure.error)
        break
      }
      if (decision === 'stop' || attempt >= this.#retry.attempts) throw failure.error
      await this.#pause(attempt)
      if (this.#stop.signal.aborted) return false
      failure = await this.#attempt(piece)
    }
    this.#parts.offer(piece)
    this.#parts.done(piece)
    return true
  }

  async #decide(error: unknown, entry: Entry<T>): Promise<'stop' | 'retry' | 'skip'> {
    const { onError = 'stop' } = this.#parts.options
    const decision = typeof onError === 'function' ? await onError(error, entry) : onError
    if (DECISIONS.includes(decision)) return decision
    throw new TypeError(`onError must say 'stop', 'retry' or 'skip', got ${String(decision)}`, { cause: error })
  }

  async #attempt(chunk: Chunk<T>): Promise<Failure | undefined> {
    const { handler, offer } = this.#parts
    offer(chunk)
    try {
      await this.#call(() => handler(chunk, { signal: this.#stop.signal }))
      return undefined
    } catch (error) {
      return { error }
    }
  }

  #call(handler: () => unknown): unknown {
    this.#isInCall = true
    try {
      return handler()
    } finally {
      this.#isInCall = false
    }
  }

  /** Longer from time to time, and cut short when the run is stopped. */
  #pause(attempt: number): Promise<void> {
    const { minDelayMs, maxDelayMs } = this.#retry
    const delayMs = Math.min(maxDelayMs, minDelayMs * 2 ** (attempt - 1))
    return new Promise(resolve => {
      const cancel = this.#parts.clock.setTimer(() => finish(), delayMs, { keepAlive: true })
      const unsubscribe = onAbort(this.#stop.signal, () => finish())
      const finish = () => {
        cancel()
        unsubscribe()
        resolve()
      }
    })
  }
}

interface Failure {
  readonly error: unknown
}
