import { randomBytes } from 'node:crypto'
import { abortable } from './abort.js'
import { checkOptions, rules } from './check-options.js'
import { type Clock, systemClock } from './clock.js'
import type { Log } from './contract.js'
import { WalError } from './errors.js'
import type { BatchOptions, EntryInput, EntryOptions, IndexRange, WalTransaction } from './types.js'

export interface TransactionLimits {
  /** Time from `begin()` until a transaction that is still pending expires. `Infinity`: never. */
  timeoutMs: number
  maxEntries: number
  /** The log's limit for a batch, so that a transaction that cannot be committed is refused while it grows. */
  maxBatchBytes: number
}

type Outcome = Exclude<WalTransaction<unknown>['state'], 'pending'>

/**
 * The transactions of one log. Each collects entries in memory and hands them over as one batch at `commit()`; the log knows
 * nothing of it before. When the log leaves service, those still pending are rolled back.
 */
export class Transactions<In> {
  readonly #log: Log<unknown, In>
  readonly #defaults: TransactionLimits
  readonly #clock: Clock
  readonly #pending = new Set<Transaction<In>>()

  constructor(log: Log<unknown, In>, defaults: TransactionLimits, clock: Clock = systemClock) {
    this.#log = log
    this.#defaults = defaults
    this.#clock = clock
    log.onEnd(error => {
      for (const transaction of this.#pending) transaction.end('rolled-back', error)
    })
  }

  /** How many are pending. */
  get open(): number {
    return this.#pending.size
  }

  /** Throws WAL_INVALID_OPTION, and WAL_CLOSED on a closed log. */
  begin(options?: { timeoutMs?: number; maxEntries?: number }): WalTransaction<In> {
    checkOptions('transaction()', options, { timeoutMs: rules.duration, maxEntries: rules.count })
    if (this.#log.status === 'closing' || this.#log.status === 'closed') {
      throw new WalError('WAL_CLOSED', `the log in ${this.#log.directory} is closed: open it again to write`)
    }
    const limits = {
      ...this.#defaults,
      timeoutMs: options?.timeoutMs ?? this.#defaults.timeoutMs,
      maxEntries: options?.maxEntries ?? this.#defaults.maxEntries,
    }
    const transaction = new Transaction(this.#log, limits, this.#clock, ended => this.#pending.delete(ended))
    this.#pending.add(transaction)
    return transaction
  }
}

class Transaction<In> implements WalTransaction<In> {
  readonly id = randomBytes(8).toString('hex')
  readonly #log: Log<unknown, In>
  readonly #limits: TransactionLimits
  readonly #clock: Clock
  readonly #deadline: number
  readonly #cancelTimer: () => void
  readonly #onEnd: (transaction: Transaction<In>) => void
  #state: WalTransaction<In>['state'] = 'pending'
  /** Empty once the transaction has ended. */
  #entries: EntryInput<Uint8Array>[] = []
  #bytes = 0
  /** Why the log ended it, if the log did. */
  #failure: WalError | undefined

  constructor(
    log: Log<unknown, In>,
    limits: TransactionLimits,
    clock: Clock,
    onEnd: (transaction: Transaction<In>) => void,
  ) {
    this.#log = log
    this.#limits = limits
    this.#clock = clock
    this.#onEnd = onEnd
    this.#deadline = clock.monotonic() + limits.timeoutMs
    this.#cancelTimer = clock.setTimer(() => this.end('expired'), limits.timeoutMs)
  }

  /** `'committed'` from the moment the log has accepted the batch; how that ends is what `commit()` tells. */
  get state(): WalTransaction<In>['state'] {
    // A busy event loop may be late with the timer.
    if (this.#state === 'pending' && this.#clock.monotonic() >= this.#deadline) this.end('expired')
    return this.#state
  }

  append(data: In, options?: EntryOptions): void {
    checkOptions('append() of a transaction', options, { term: rules.term, timestamp: rules.timestamp })
    this.#checkPending()
    if (this.#entries.length >= this.#limits.maxEntries) {
      throw this.#tooLarge(`${this.#limits.maxEntries} entries, its limit (option 'maxEntries')`)
    }
    const encoded = this.#log.encode(data)
    if (this.#bytes + encoded.length > this.#limits.maxBatchBytes) {
      throw this.#tooLarge(`${this.#bytes} of at most ${this.#limits.maxBatchBytes} bytes (option 'maxBatchBytes')`)
    }
    const entry = { data: encoded, ...stampOf(options) }
    this.#bytes += encoded.length
    this.#entries.push(entry)
  }

  /** Refused with nothing accepted, it stays pending and may be committed again; so also when `signal` has aborted already. */
  async commit(options: BatchOptions = {}): Promise<IndexRange> {
    checkOptions('commit()', options, { expectedLastIndex: rules.index, signal: rules.signal })
    const { expectedLastIndex, signal } = options
    signal?.throwIfAborted()
    this.#checkPending()
    const range = this.#log.acceptEncoded(this.#entries, { expectedLastIndex, transactionId: this.id })
    this.end('committed')
    if (range.count > 0)
      await abortable(this.#log.committed(range.lastIndex), signal, cause => outcomeUnknown(range, cause))
    return range
  }

  /** Nothing of it was ever in the log. Harmless on one that has expired or was rolled back; WAL_TRANSACTION_CLOSED on a committed one. */
  rollback(): void {
    if (this.#state === 'committed') throw this.#closed('was committed and cannot be rolled back')
    this.end('rolled-back')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end('rolled-back')
  }

  /** Ends it if it is pending. For `Transactions`. */
  end(outcome: Outcome, failure?: WalError): void {
    if (this.#state !== 'pending') return
    this.#state = outcome
    this.#failure = failure
    this.#entries = []
    this.#cancelTimer()
    this.#onEnd(this)
  }

  #checkPending(): void {
    if (this.state === 'pending') return
    if (this.#failure) throw this.#failure
    if (this.#state !== 'expired') throw this.#closed(`has ended: it is ${this.#state}`)
    const message = `transaction ${this.id} was not committed within ${this.#limits.timeoutMs} ms (option 'timeoutMs'); nothing of it is in the log`
    throw new WalError('WAL_TRANSACTION_EXPIRED', message)
  }

  #closed(what: string): WalError {
    return new WalError('WAL_TRANSACTION_CLOSED', `transaction ${this.id} ${what}; begin another one`)
  }

  #tooLarge(has: string): WalError {
    return new WalError('WAL_BATCH_TOO_LARGE', `transaction ${this.id} takes no further entry: it has ${has}`)
  }
}

/** Now rather than at commit, where what cannot be stored would refuse all of it; and a Date may be changed until then. */
function stampOf({ term, timestamp }: EntryOptions = {}): { term?: number; timestamp?: number } {
  const stamp: { term?: number; timestamp?: number } = {}
  if (term !== undefined) {
    if (!Number.isSafeInteger(term) || term < 0) throw unstorable('term must be an integer of 0 or more', term)
    stamp.term = term
  }
  if (timestamp !== undefined) {
    stamp.timestamp = Number(timestamp)
    if (!Number.isFinite(stamp.timestamp)) throw unstorable('timestamp must be milliseconds since 1970', timestamp)
  }
  return stamp
}

function unstorable(rule: string, value: number | Date): WalError {
  return new WalError('WAL_INVALID_ENTRY', `${rule}, got ${String(value)}`)
}

function outcomeUnknown({ firstIndex, lastIndex }: IndexRange, cause: unknown): WalError {
  const message = `aborted while entries ${firstIndex} to ${lastIndex} were being committed; they stay accepted, so look whether they are there`
  return new WalError('WAL_OUTCOME_UNKNOWN', message, { cause, index: lastIndex, firstIndex, lastIndex })
}
