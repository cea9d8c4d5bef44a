import { EventEmitter } from 'node:events'
import { abortable } from './abort.js'
import { checkOptions, rules } from './check-options.js'
import type { Consumers } from './consumers/consumers.js'
import type { ReadableLog } from './contract.js'
import { iterate } from './streams/iterator.js'
import { iteratorRequest, readableRequest } from './streams/read-options.js'
import { readable } from './streams/readable.js'
import type {
  ConsumerInfo,
  ConsumerOptions,
  Cursor,
  Entry,
  EntryStream,
  ReadOptions,
  RecoveryReport,
  SegmentInfo,
  TailOptions,
  VerifyOptions,
  VerifyReport,
  WalConsumer,
  WalEvents,
  WalReader,
  WalStats,
} from './types.js'

const waitRules = { signal: rules.signal }
const verifyRules = { signal: rules.signal, onProgress: rules.function }

/** Reads everything up to `committedIndex` as of the call. Rejects with WAL_CLOSED when the log closes meanwhile. */
export type VerifyLog = (options: VerifyOptions) => Promise<VerifyReport>

/** What a reader is made of. */
export interface ReaderLog<Out, Log extends ReadableLog<Out> = ReadableLog<Out>> {
  log: Log
  verify: VerifyLog
  consumers: Consumers<Out>
}

export interface ReaderParts<Out> {
  recoveryReport: RecoveryReport
  createLog: (events: EventEmitter<WalEvents>) => ReaderLog<Out>
}

/** What `followWal` gives, and the reading half of what `openWal` gives. Holds no state of the log itself. */
export class FileReader<Out> extends EventEmitter<WalEvents> {
  readonly recoveryReport: RecoveryReport
  readonly #log: ReadableLog<Out>
  readonly #verify: VerifyLog
  readonly #consumers: Consumers<Out>

  constructor({ recoveryReport, createLog }: ReaderParts<Out>) {
    super()
    this.recoveryReport = recoveryReport
    const { log, verify, consumers } = createLog(this)
    this.#log = log
    this.#verify = verify
    this.#consumers = consumers
  }

  get directory(): string {
    return this.#log.directory
  }

  get firstIndex(): number {
    return this.#log.firstIndex
  }

  get lastIndex(): number {
    return this.#log.lastIndex
  }

  get committedIndex(): number {
    return this.#log.committedIndex
  }

  get durableIndex(): number {
    return this.#log.durableIndex
  }

  get status(): WalReader<Out>['status'] {
    return this.#log.status
  }

  waitForCommit(index: number, options?: { signal?: AbortSignal }): Promise<void> {
    return this.waiting(options, () => this.#log.committed(index))
  }

  waitForDurable(index: number, options?: { signal?: AbortSignal }): Promise<void> {
    return this.waiting(options, () => this.#log.durable(index))
  }

  // ---- reading

  get(index: number, options?: { signal?: AbortSignal }): Promise<Entry<Out>> {
    if (options === undefined) return this.#log.get(index)
    return this.waiting(options, () => this.#log.get(index))
  }

  getSync(index: number): Entry<Out> {
    return this.#log.getSync(index)
  }

  getRange(from: number, to: number, options?: { signal?: AbortSignal }): Promise<Entry<Out>[]> {
    return this.waiting(options, async () => {
      if (typeof from !== 'number' || typeof to !== 'number') throw new TypeError('getRange() takes two indexes')
      const entries: Entry<Out>[] = []
      const cursor = iterate(this.#log, iteratorRequest<Out>({ from, to, copy: true, ...options }, false))
      for await (const chunk of cursor.chunks()) for (const entry of chunk) entries.push(entry)
      return entries
    })
  }

  replay(options?: number | ReadOptions<Out>): Cursor<Out> {
    return iterate(this.#log, iteratorRequest(options, false))
  }

  tail(options?: number | TailOptions<Out>): Cursor<Out> {
    return iterate(this.#log, iteratorRequest(options, true))
  }

  readable(options?: TailOptions<Out> & { live?: boolean }): EntryStream<Out> {
    return readable(this.#log, readableRequest(options))
  }

  // ---- consumers

  consumer(name: string, options?: ConsumerOptions<Out>): WalConsumer<Out> {
    return this.#consumers.consumer(name, options)
  }

  consumers(): ConsumerInfo[] {
    return this.#consumers.infos()
  }

  deleteConsumer(name: string): Promise<void> {
    return this.#consumers.delete(name)
  }

  // ---- the log as a whole

  segments(): SegmentInfo[] {
    return this.#log.segmentInfos()
  }

  stats(): WalStats {
    return { ...this.#log.stats(), openTransactions: 0, consumers: this.#consumers.count }
  }

  async verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    checkOptions('verify()', options, verifyRules)
    options.signal?.throwIfAborted()
    return abortable(this.#verify(options), options.signal)
  }

  close(): Promise<void> {
    return this.#log.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Runs a wait that the caller's signal may end. */
  protected waiting<R>(options: { signal?: AbortSignal } | undefined, wait: () => Promise<R>): Promise<R> {
    try {
      checkOptions('the call', options, waitRules)
      const signal = options?.signal
      return signal?.aborted ? Promise.reject(signal.reason) : abortable(wait(), signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }
}
