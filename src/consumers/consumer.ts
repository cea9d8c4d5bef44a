import { EventEmitter } from 'node:events'
import { onAbort } from '../abort.js'
import { checkOptions, rules } from '../check-options.js'
import type { Clock } from '../clock.js'
import type { LogEpoch } from '../contract.js'
import { emitApart } from '../emit.js'
import { WalError } from '../errors.js'
import type { Chunk, ConsumerEvents, ConsumerOptions, From, RunOptions, WalConsumer } from '../types.js'
import type { StoreTerms } from './checkpoint.js'
import { ChunkIterator } from './chunk-iterator.js'
import { formatPosition, type Position, parsePosition, positionAt } from './position.js'
import { ConsumerReader } from './reader.js'
import { Run } from './run.js'
import { type ConsumerState, fixStart, type Start } from './state.js'
import { untilProcessed } from './until-processed.js'

/** How long closing waits for a handler that is at work; one that hangs must not hang the program. */
const HANDLER_GRACE_MS = 1000
const DEFAULT_INTERVAL_MS = 100

const chunkRules = { chunkMaxEntries: rules.count, chunkMaxBytes: rules.count, signal: rules.signal }
const onErrorRule = {
  must: "be 'stop', 'retry', 'skip' or a function",
  isType: (value: unknown) => typeof value === 'string' || typeof value === 'function',
  holds: (value: unknown) => typeof value === 'function' || ['stop', 'retry', 'skip'].includes(value as string),
}
const objectRule = { must: 'be an object', isType: (value: unknown) => typeof value === 'object' && value !== null }
const runRules = { ...chunkRules, onError: onErrorRule, retry: objectRule }
const retryRules = { attempts: rules.count, minDelayMs: rules.duration, maxDelayMs: rules.duration }
const waitRules = { timeoutMs: rules.duration, signal: rules.signal }

/** What was handed out last. */
interface HandedOut {
  /** Last index of the chunk. */
  index: number
  /** Where the consumer stands once that chunk is processed: behind it and behind what the filter dropped after it. */
  position: Position
  /** The history it was read from: entries of it belong to these epochs whatever happens to the log later. */
  epochs: readonly LogEpoch[]
  generation: number
}

/** A named reader of a log. Several of one name share what they have in common, which is `ConsumerState`. */
export class Consumer<T> extends EventEmitter<ConsumerEvents> implements WalConsumer<T> {
  readonly name: string
  readonly #state: ConsumerState<T>
  readonly #clock: Clock
  readonly #options: ConsumerOptions<T>
  readonly #start: Start
  readonly #readers = new Set<ConsumerReader<T>>()
  readonly #runs = new Set<Run<T>>()
  readonly #closeListeners = new Set<() => void>()
  #handedOut: HandedOut | undefined
  #closing: Promise<void> | undefined

  constructor(state: ConsumerState<T>, clock: Clock, options: ConsumerOptions<T>) {
    super()
    this.name = state.name
    this.#state = state
    this.#clock = clock
    this.#options = options
    this.#start = fixStart(state.log, options.from ?? 'start')
    state.join(this, this.#start)
  }

  get checkpointIndex(): number {
    return this.#state.checkpoint.noted?.index ?? 0
  }

  get lagEntries(): number {
    return this.#state.lagEntries(this.#start)
  }

  get isClosed(): boolean {
    return this.#closing !== undefined
  }

  get position(): string | undefined {
    const handedOut = this.#handedOutNow
    return handedOut && formatPosition(handedOut.position)
  }

  // ---- reading

  chunks(options?: {
    chunkMaxEntries?: number
    chunkMaxBytes?: number
    signal?: AbortSignal
  }): AsyncIterableIterator<Chunk<T>, void, undefined> {
    checkOptions('chunks()', options, chunkRules)
    const { signal, ...limits } = options ?? {}
    const reader = this.#createReader(limits)
    const abort = (reason: unknown) => {
      reader.close(reason)
      reader.release()
    }
    const unsubscribe = signal && !signal.aborted ? onAbort(signal, abort) : undefined
    const next = () => {
      if (signal?.aborted) reader.close(signal.reason)
      return this.#closing === undefined ? reader.next() : Promise.reject(this.#closedError())
    }
    const end = () => {
      unsubscribe?.()
      this.#end(reader)
    }
    return new ChunkIterator(next, end)
  }

  async run(
    handler: (entries: Chunk<T>, context: { signal: AbortSignal }) => unknown,
    options: RunOptions<T> = {},
  ): Promise<void> {
    if (typeof handler !== 'function') throw new TypeError(`run() takes a function, got ${typeof handler}`)
    checkOptions('run()', options, runRules)
    checkOptions('option retry of run()', options.retry, retryRules)
    const { chunkMaxEntries, chunkMaxBytes } = options
    if (this.#closing !== undefined) throw this.#closedError()
    options.signal?.throwIfAborted()
    const reader = this.#createReader({
      ...(chunkMaxEntries === undefined ? {} : { chunkMaxEntries }),
      ...(chunkMaxBytes === undefined ? {} : { chunkMaxBytes }),
    })
    const run = new Run<T>({
      reader,
      handler,
      options,
      clock: this.#clock,
      offer: chunk => this.#handOut(chunk.lastIndex),
      done: () => this.#processedAll(),
      skipped: (index, error) => this.#emitLater('skip', { index, error }),
    })
    this.#runs.add(run)
    try {
      await run.ended
    } catch (error) {
      // What went wrong first is what the caller has to hear of; a position that is not stored comes again.
      await this.#state.checkpoint.flush().catch(() => undefined)
      throw error
    } finally {
      this.#runs.delete(run)
      this.#end(reader)
    }
    await this.#state.checkpoint.flush()
  }

  seek(from: From | { position: string }): void {
    if (this.#closing !== undefined) throw this.#closedError()
    this.#state.seek(this.#target(from), this.#terms(false))
  }

  #target(from: From | { position: string }): Start {
    if (typeof from === 'object' && 'position' in from) {
      if (typeof from.position !== 'string') throw new TypeError('seek() takes { position } as a string')
      const position = parsePosition(from.position)
      if (position !== undefined) return { kind: 'position', position }
      throw new WalError('WAL_INVALID_OPTION', `'${from.position}' is no position that a consumer has given.`)
    }
    checkOptions('seek()', { from }, { from: rules.from })
    return fixStart(this.#state.log, from)
  }

  #createReader(limits: { chunkMaxEntries?: number; chunkMaxBytes?: number }): ConsumerReader<T> {
    const { filter } = this.#options
    const reader = new ConsumerReader<T>({
      state: this.#state,
      start: this.#start,
      cursor: {
        ...limits,
        ...(filter === undefined ? {} : { filter }),
        onCaughtUp: index => this.#emitLater('caughtUp', index),
        onFellBehind: index => this.#emitLater('fellBehind', index),
      },
      terms: this.#terms(false),
      onRead: chunk => this.#read(chunk),
    })
    this.#readers.add(reader)
    return reader
  }

  #end(reader: ConsumerReader<T>): void {
    reader.release()
    this.#readers.delete(reader)
  }

  // ---- the position

  checkpoint(index?: number): Promise<void> {
    try {
      if (this.#closing !== undefined) throw this.#closedError()
      const { checkpoint } = this.#state
      const position = index === undefined ? this.#handedOutNow?.position : this.#positionOf(this.#checkedIndex(index))
      if (position !== undefined) checkpoint.advance(position, this.#terms(true))
      return checkpoint.whenStored(this.#terms(true))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #checkedIndex(index: number): number {
    if (typeof index !== 'number') throw new TypeError(`checkpoint() takes an index, got ${typeof index}`)
    const { firstIndex, committedIndex } = this.#state.log
    if (Number.isSafeInteger(index) && index >= 0 && index <= committedIndex) return index
    const message = `checkpoint(${index}) is outside of the log, which has the entries ${firstIndex} to ${committedIndex}.`
    throw new WalError('WAL_INDEX_OUT_OF_RANGE', message, { index, firstIndex, lastIndex: committedIndex })
  }

  get #handedOutNow(): HandedOut | undefined {
    return this.#handedOut?.generation === this.#state.generation ? this.#handedOut : undefined
  }

  /** A range was read. Where the filter left nothing of it, the position moves over it with what was processed before. */
  #read(chunk: Chunk<T>): void {
    const { generation, history, checkpoint } = this.#state
    const { epochs } = history
    const position = positionAt(chunk.lastIndex, epochs)
    const before = this.#handedOutNow
    if (chunk.length > 0) this.#handedOut = { index: chunk.lastIndex, position, epochs, generation }
    else if (before === undefined || (checkpoint.noted?.index ?? 0) >= before.index)
      checkpoint.advance(position, this.#terms(false))
    else before.position = position
  }

  /** The handler is given a chunk just read, or a part of it once more. */
  #handOut(index: number): void {
    const handedOut = this.#handedOutNow
    if (handedOut === undefined) return
    const { epochs, generation } = handedOut
    this.#handedOut = { index, position: positionAt(index, epochs), epochs, generation }
  }

  /** What was handed out last is processed. */
  #processedAll(): void {
    const { checkpoint } = this.#state
    const handedOut = this.#handedOutNow
    if (handedOut !== undefined) checkpoint.advance(handedOut.position, this.#terms(false))
    if (checkpoint.failure !== undefined) throw checkpoint.failure
  }

  /** An index that was not handed out counts as the user says. */
  #positionOf(index: number): Position {
    const handedOut = this.#handedOutNow
    if (handedOut === undefined || index > handedOut.index) return positionAt(index, this.#state.history.epochs)
    return index === handedOut.index ? handedOut.position : positionAt(index, handedOut.epochs)
  }

  /** Who listens for stored positions waits for them too. */
  #terms(isAwaited: boolean): StoreTerms {
    const keepAlive = isAwaited || this.listenerCount('checkpoint') > 0
    return { withinMs: this.#options.checkpointIntervalMs ?? DEFAULT_INTERVAL_MS, keepAlive }
  }

  // ---- waiting

  whenCaughtUp(options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<void> {
    return this.whenProcessed(this.#state.log.committedIndex, options)
  }

  whenProcessed(index: number, options: { timeoutMs?: number; signal?: AbortSignal } = {}): Promise<void> {
    try {
      checkOptions('whenProcessed()', options, waitRules)
      checkOptions('whenProcessed()', { index }, { index: rules.index })
      if (this.#closing !== undefined) throw this.#closedError()
    } catch (error) {
      return Promise.reject(error)
    }
    return untilProcessed({
      state: this.#state,
      start: this.#start,
      clock: this.#clock,
      index,
      ...options,
      onClose: listener => {
        this.#closeListeners.add(listener)
        return () => this.#closeListeners.delete(listener)
      },
    })
  }

  // ---- the end

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    for (const listener of [...this.#closeListeners]) listener()
    await this.stopReading()
    await this.#state.leave(this)
  }

  /** Ends what is being read and waits, for a time, for the handlers at work. */
  async stopReading(): Promise<void> {
    const runs = [...this.#runs]
    for (const run of runs) run.stop()
    for (const reader of [...this.#readers]) if (!runs.some(run => run.reads(reader))) this.#end(reader)
    const working = runs.filter(run => run.isWaitedFor).map(run => run.ended.catch(() => undefined)) // `run()` rejects with it.
    if (working.length === 0) return
    let cancel: (() => void) | undefined
    const graceIsOver = new Promise<void>(resolve => {
      cancel = this.#clock.setTimer(resolve, HANDLER_GRACE_MS, { keepAlive: true })
    })
    await Promise.race([Promise.all(working), graceIsOver])
    cancel?.()
  }

  #closedError(): WalError {
    return new WalError('WAL_CLOSED', `Consumer '${this.name}' is closed. wal.consumer('${this.name}') opens it again.`)
  }

  #emitLater<K extends keyof ConsumerEvents>(name: K, ...payload: ConsumerEvents[K]): void {
    if (this.listenerCount(name) > 0) process.nextTick(() => emitApart(this, name, payload))
  }
}
