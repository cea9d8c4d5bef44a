import type { EventEmitter } from 'node:events'
import type { Transform, Writable } from 'node:stream'
import { abortable } from './abort.js'
import { checkOptions, rules } from './check-options.js'
import type { BackupOptions, StoredLog } from './contract.js'
import { WalError } from './errors.js'
import { FileReader, type ReaderLog } from './reader.js'
import { transform } from './streams/transform.js'
import { writable } from './streams/writable.js'
import { type TransactionLimits, Transactions } from './transaction.js'
import type {
  AppendOptions,
  BackupReport,
  BatchOptions,
  EntryInput,
  EntryOptions,
  IndexRange,
  RecoveryReport,
  SegmentInfo,
  WalEvents,
  WalStats,
  WalTransaction,
} from './types.js'

const stampRules = { term: rules.term, timestamp: rules.timestamp }
const batchRules = { expectedLastIndex: rules.index, signal: rules.signal }
const appendRules = { ...stampRules, ...batchRules }
const submitRules = { ...stampRules, expectedLastIndex: rules.index }
const backupRules = { signal: rules.signal, onProgress: rules.function }

export interface WalParts<Out, In> {
  recoveryReport: RecoveryReport
  /** Defaults of transactions. */
  transaction: TransactionLimits
  createLog: (events: EventEmitter<WalEvents>) => ReaderLog<Out, StoredLog<Out, In>>
}

/** What `openWal` gives: the user's side of a log. Holds no state of the log itself. */
export class FileWal<Out, In> extends FileReader<Out> {
  readonly #log: StoredLog<Out, In>

  readonly #transactions: Transactions<In>

  constructor({ recoveryReport, transaction, createLog }: WalParts<Out, In>) {
    let log: StoredLog<Out, In> | undefined
    super({
      recoveryReport,
      createLog: events => {
        const created = createLog(events)
        log = created.log
        return created
      },
    })
    this.#log = log!
    this.#transactions = new Transactions(this.#log, transaction)
  }

  get writableNeedDrain(): boolean {
    return this.#log.writableNeedDrain
  }

  // ---- writing

  append(data: In, options?: AppendOptions): Promise<number> {
    if (options === undefined) return this.#log.append(data)
    return this.#accepting(options, appendRules, () => this.#log.append(data, options))
  }

  submit(data: In, options?: EntryOptions & { expectedLastIndex?: number }): number {
    checkOptions('submit()', options, submitRules)
    if (this.writableNeedDrain) {
      const message = `More than highWaterMark bytes are accepted and not committed in ${this.directory}. Await drained(), then go on.`
      throw new WalError('WAL_BACKPRESSURE', message)
    }
    return this.#log.accept(data, options)
  }

  appendBatch(data: readonly In[], options: AppendOptions = {}): Promise<IndexRange> {
    return this.#accepting(options, appendRules, () => {
      const { term, timestamp } = options
      const entries = asArray('appendBatch()', data).map(one => stamped(one, term, timestamp))
      return this.#log.appendBatch(entries, options)
    })
  }

  appendEntries(entries: readonly EntryInput<In>[], options: BatchOptions = {}): Promise<IndexRange> {
    return this.#accepting(options, batchRules, () =>
      this.#log.appendBatch(asArray('appendEntries()', entries), options),
    )
  }

  transaction(options?: { timeoutMs?: number; maxEntries?: number }): WalTransaction<In> {
    return this.#transactions.begin(options)
  }

  drained(options?: { signal?: AbortSignal }): Promise<void> {
    return this.waiting(options, () => this.#log.drained())
  }

  sync(options?: { signal?: AbortSignal }): Promise<void> {
    return this.waiting(options, () => this.#log.sync())
  }

  writable(options?: { input?: 'data' | 'entry' }): Writable {
    return writable(this.#log, options)
  }

  transform(options?: { input?: 'data' | 'entry' }): Transform {
    return transform(this.#log, options)
  }

  // ---- the log as a whole

  rotate(): Promise<SegmentInfo | undefined> {
    return this.#log.rotate()
  }

  truncateBefore(index: number): Promise<void> {
    return this.#log.truncateBefore(index)
  }

  truncateAfter(index: number): Promise<void> {
    return this.#log.truncateAfter(index)
  }

  reset(nextIndex: number): Promise<void> {
    return this.#log.reset(nextIndex)
  }

  async backup(directory: string, options?: BackupOptions): Promise<BackupReport> {
    checkOptions('backup()', options, backupRules)
    if (typeof directory !== 'string' || directory === '')
      throw new TypeError('backup() needs the path of a new directory')
    return this.#log.backup(directory, options)
  }

  resume(): Promise<void> {
    return this.#log.resume()
  }

  override stats(): WalStats {
    return { ...super.stats(), openTransactions: this.#transactions.open }
  }

  /** Runs what accepts entries at the call. Aborted later, nobody can say whether they will be stored: they stay accepted. */
  #accepting<R>(
    options: BatchOptions,
    known: Parameters<typeof checkOptions>[2],
    accept: () => Promise<R>,
  ): Promise<R> {
    try {
      checkOptions('append()', options, known)
      const { signal } = options
      if (signal?.aborted) return Promise.reject(signal.reason)
      const result = accept()
      const index = this.lastIndex
      return abortable(result, signal, cause => {
        const message = `The wait for entry ${index} was aborted. It stays accepted; waitForCommit(${index}) tells how it ends.`
        return new WalError('WAL_OUTCOME_UNKNOWN', message, { cause, index })
      })
    } catch (error) {
      return Promise.reject(error)
    }
  }
}

/** Not any iterable: a string would be taken apart, and whoever forgot the brackets would not hear of it. */
function asArray<T>(call: string, given: readonly T[]): readonly T[] {
  if (Array.isArray(given)) return given
  throw new TypeError(`${call} takes an array, got ${given === null ? 'null' : typeof given}`)
}

function stamped<In>(data: In, term: number | undefined, timestamp: number | Date | undefined): EntryInput<In> {
  const entry: EntryInput<In> = { data }
  if (term !== undefined) entry.term = term
  if (timestamp !== undefined) entry.timestamp = timestamp
  return entry
}
