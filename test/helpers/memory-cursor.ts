import type { CursorOptions, LogCursor, LogStatus } from '../../src/contract.js'
import { WalError } from '../../src/errors.js'
import type { Chunk, Entry, From } from '../../src/types.js'
import type { MemoryLog } from './memory-log.js'

type State = { kind: 'open' } | { kind: 'ended' } | { kind: 'failed'; error: unknown }

/** The cursor of MemoryLog: contract.ts's LogCursor over an array. */
export class MemoryCursor<T> implements LogCursor<T> {
  caughtUp = false
  /** The highest index handed out; 0 before the first. */
  handedOutIndex = 0
  /** How many chunks were asked for. */
  reads = 0
  readonly #log: MemoryLog<T, never>
  readonly #options: CursorOptions<T>
  readonly #to: number
  #state: State = { kind: 'open' }
  /** Undefined as long as it is 'start', which moves with the log until the first read. */
  #next: number | undefined
  #reading = false
  #wake: (() => void) | undefined

  constructor(log: MemoryLog<T, never>, options: CursorOptions<T>) {
    this.#log = log
    this.#options = options
    this.#next = resolveFrom(log, options.from ?? 'start')
    this.#to = options.live
      ? (options.to ?? Number.POSITIVE_INFINITY)
      : Math.min(options.to ?? Number.POSITIVE_INFINITY, log.committedIndex)
  }

  get nextIndex(): number {
    return this.#next ?? this.#log.firstIndex
  }

  async next(): Promise<Chunk<T> | undefined> {
    if (this.#reading) throw new Error('next() was called before the last one had settled')
    this.#reading = true
    this.reads++
    try {
      // A disk takes its time too.
      await undefined
      return await this.#nextChunk()
    } finally {
      this.#reading = false
    }
  }

  async #nextChunk(): Promise<Chunk<T> | undefined> {
    for (;;) {
      const step = this.#step()
      if (step !== 'wait') return step
      this.#caughtUp()
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
      this.#wake = undefined
    }
  }

  close(reason?: unknown): void {
    if (this.#state.kind !== 'open') return
    this.#finish(reason === undefined ? { kind: 'ended' } : { kind: 'failed', error: reason })
  }

  wake(): void {
    this.#wake?.()
  }

  fail(error: WalError): void {
    this.#finish({ kind: 'failed', error })
  }

  #step(): Chunk<T> | undefined | 'wait' {
    if (this.#state.kind === 'failed') throw this.#state.error
    if (this.#state.kind === 'ended') return undefined
    const next = this.nextIndex
    if (next < this.#log.firstIndex) {
      this.fail(new WalError('WAL_TRUNCATED', `entry ${next} was removed`, { index: next, lost: 'before' }))
      return this.#step()
    }
    if (next > this.#to) return this.#end()
    if (next <= this.#log.committedIndex) return this.#read(next)
    if (this.#log.failure) {
      this.fail(this.#log.failure)
      return this.#step()
    }
    if (this.#log.status === 'closed') return this.#end()
    return 'wait'
  }

  #read(from: number): Chunk<T> {
    if (!this.#options.live && isClosed(this.#log.status)) throw new WalError('WAL_CLOSED', 'the log is closed')
    const to = this.#chunkEnd(from)
    const { filter } = this.#options
    const all = this.#decode(from, to)
    this.#next = to + 1
    this.handedOutIndex = to
    if (to === this.#log.committedIndex) this.#caughtUp()
    else this.caughtUp = false
    const kept: Entry<T>[] = filter ? all.filter(filter) : all
    return Object.assign(kept, { firstIndex: from, lastIndex: to })
  }

  #decode(from: number, to: number): Entry<T>[] {
    try {
      return this.#log.read(from, to)
    } catch (error) {
      this.#finish({ kind: 'failed', error })
      throw error
    }
  }

  #chunkEnd(from: number): number {
    const { chunkMaxEntries = 256, chunkMaxBytes = 1 << 16 } = this.#options
    const limit = Math.min(this.#log.committedIndex, this.#to, from + chunkMaxEntries - 1)
    let to = from
    let bytes = this.#log.sizeOf(from)
    while (to < limit && (bytes += this.#log.sizeOf(to + 1)) <= chunkMaxBytes) to++
    return to
  }

  #caughtUp(): void {
    if (!this.caughtUp) this.#options.onCaughtUp?.(this.nextIndex - 1)
    this.caughtUp = true
  }

  #end(): undefined {
    this.#finish({ kind: 'ended' })
    return undefined
  }

  #finish(state: State): void {
    this.#state = state
    this.#log.openCursors.delete(this)
    this.wake()
  }
}

function isClosed(status: LogStatus): boolean {
  return status === 'closing' || status === 'closed'
}

function resolveFrom<T>(log: MemoryLog<T, never>, from: From): number | undefined {
  if (from === 'start') return undefined
  if (from === 'end') return log.committedIndex + 1
  if (typeof from === 'object') return log.indexAtTime(Number(from.timestamp))
  if (from < 1 || from > log.lastIndex + 1) {
    throw new WalError('WAL_INDEX_OUT_OF_RANGE', `index ${from} is out of range`, { index: from })
  }
  if (from < log.firstIndex)
    throw new WalError('WAL_TRUNCATED', `entry ${from} was removed`, { index: from, lost: 'before' })
  return from
}
