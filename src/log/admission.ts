import type { Clock } from '../clock.js'
import { type EntryFields, FLAG_ENDS_BATCH, FLAG_IN_TRANSACTION, type Format } from '../codec/format.js'
import { ENDS_BATCH, FIRST_OF_COMMIT } from '../codec/memory.js'
import { WalError } from '../errors.js'
import { BLOCK_BYTES } from '../file-system/block.js'
import type { EntryOptions } from '../types.js'
import { acquireArena } from './arena.js'
import { PendingCommit } from './pending-commit.js'

export interface AdmissionLimits {
  maxEntryBytes: number
  maxBatchBytes: number
  segmentMaxBytes: number
  /** Entries per segment; Infinity when nobody limits them. */
  segmentMaxEntries: number
  /** A commit is complete when the next entry would make it longer than this. */
  commitMaxBytes: number
  /** Commits lie in memory as they will lie in blocks, so that they can be written as they are. */
  isDirect: boolean
}

/** What the active segment will hold once everything accepted so far is written. */
interface Fill {
  bytes: number
  entries: number
}

/**
 * Lays accepted entries out for their commit: copies them, gives them index, term, timestamp and checksum, and decides at once in
 * which commit and which segment they belong, so that a segment ends where its limits say and not where a commit happened to.
 */
export class Admission {
  readonly #format: Format
  readonly #limits: AdmissionLimits
  readonly #now: () => number
  readonly #monotonic: () => number
  readonly #onOpen: (commit: PendingCommit) => void
  readonly #fields: EntryFields = { index: 0, term: 0, timestamp: 0, flags: 0, transactionId: undefined }
  #filling: PendingCommit | undefined
  #fill: Fill
  #rotateNext = false
  /** The last index when the last commit was opened: the next one gets room for as many positions as that came to hold. */
  #openedAfter: number
  lastIndex: number
  /** A function as long as only reading the last entry tells: after a truncation, until somebody asks. */
  #lastTerm: number | (() => number)

  constructor(
    format: Format,
    limits: AdmissionLimits,
    clock: Clock,
    from: { lastIndex: number; lastTerm: number; fill: Fill; onOpen: (commit: PendingCommit) => void },
  ) {
    this.#format = format
    this.#limits = limits
    this.#now = tickClock(clock)
    this.#monotonic = () => clock.monotonic()
    this.#onOpen = from.onOpen
    this.#fill = from.fill
    this.lastIndex = this.#openedAfter = from.lastIndex
    this.#lastTerm = from.lastTerm
  }

  /** What an entry gets that says nothing else. */
  get lastTerm(): number {
    if (typeof this.#lastTerm === 'function') this.#lastTerm = this.#lastTerm()
    return this.#lastTerm
  }

  /**
   * The log ends earlier now: `read` tells the term of its last entry. Returns a function that spares it the reading, for when the
   * term is known.
   */
  readLastTerm(read: () => number): (term: number) => void {
    this.#lastTerm = read
    return term => {
      if (this.#lastTerm === read) this.#lastTerm = term
    }
  }

  /** The commit that further entries join. */
  get filling(): PendingCommit | undefined {
    return this.#filling
  }

  /** Ends the commit under way: what comes later goes into the next. */
  cut(): void {
    this.#filling = undefined
  }

  /** What comes later belongs into a new segment. */
  rotate(): void {
    this.cut()
    this.#rotateNext = true
  }

  /** Somebody else has opened a new, empty segment for what comes later. */
  startedSegment(): void {
    this.cut()
    this.#rotateNext = false
    this.#fill = { bytes: 0, entries: 0 }
  }

  /** One entry, which is a batch of its own. */
  one(payload: Uint8Array, options: EntryOptions | undefined): PendingCommit {
    this.assertEntryFits(payload)
    const term = options?.term === undefined ? this.lastTerm : checkTerm(options.term)
    const timestamp = options?.timestamp === undefined ? this.#now() : checkTimestamp(options.timestamp)
    const commit = this.#room(this.#format.entryBytes(payload, false), 1)
    this.#put(commit, payload, term, timestamp, FLAG_ENDS_BATCH)
    return commit
  }

  /** Entries that become durable all or none. There is at least one. */
  batch(
    payloads: readonly Uint8Array[],
    options: readonly EntryOptions[],
    transactionId: string | undefined,
  ): PendingCommit {
    const { terms, timestamps } = this.#stamps(options)
    const bytes = this.#assertBatchFits(payloads, transactionId !== undefined)
    const commit = this.#room(bytes, payloads.length)
    const common = transactionId === undefined ? 0 : FLAG_IN_TRANSACTION
    this.#fields.transactionId = transactionId
    const last = payloads.length - 1
    for (let i = 0; i <= last; i++) {
      this.#put(commit, payloads[i]!, terms[i]!, timestamps[i]!, i === last ? common | FLAG_ENDS_BATCH : common)
    }
    this.#fields.transactionId = undefined
    return commit
  }

  /** The terms and timestamps of a batch, read once. Throws for those that cannot be stored, before anything is accepted. */
  #stamps(options: readonly EntryOptions[]): { terms: number[]; timestamps: number[] } {
    const terms: number[] = []
    const timestamps: number[] = []
    let previous: number | undefined
    for (let i = 0; i < options.length; i++) {
      const { term, timestamp } = options[i]!
      previous = term === undefined ? (previous ?? this.lastTerm) : checkTerm(term)
      terms.push(previous)
      timestamps.push(timestamp === undefined ? this.#now() : checkTimestamp(timestamp))
    }
    return { terms, timestamps }
  }

  assertEntryFits(payload: Uint8Array): void {
    const { maxEntryBytes } = this.#limits
    if (payload.length <= maxEntryBytes) return
    const message = `An entry has ${payload.length} bytes, more than maxEntryBytes (${maxEntryBytes}). Raise the option or split the data.`
    throw new WalError('WAL_ENTRY_TOO_LARGE', message)
  }

  #assertBatchFits(payloads: readonly Uint8Array[], inTransaction: boolean): number {
    let data = 0
    let framed = 0
    for (const payload of payloads) {
      this.assertEntryFits(payload)
      data += payload.length
      framed += this.#format.entryBytes(payload, inTransaction)
    }
    const { maxBatchBytes } = this.#limits
    if (data <= maxBatchBytes) return framed
    const message = `A batch has ${data} bytes of data, more than maxBatchBytes (${maxBatchBytes}). Raise the option or split the batch.`
    throw new WalError('WAL_BATCH_TOO_LARGE', message)
  }

  /** The commit to lay `bytes` of `entries` entries into, opened when the one under way has no room or its segment none. */
  #room(bytes: number, entries: number): PendingCommit {
    if (this.lastIndex + entries > Number.MAX_SAFE_INTEGER - 1) {
      throw new WalError(
        'WAL_INDEX_OUT_OF_RANGE',
        `The log has reached the largest index, ${Number.MAX_SAFE_INTEGER - 1}.`,
      )
    }
    const { commitPrefixBytes: prefix, commitSuffixBytes: suffix } = this.#format
    const { segmentMaxBytes, segmentMaxEntries } = this.#limits
    const fill = this.#fill
    const segmentIsFull =
      fill.entries > 0 && (fill.bytes + bytes + prefix > segmentMaxBytes || fill.entries + entries > segmentMaxEntries)
    if (segmentIsFull) this.rotate()
    let commit = this.#filling
    if (commit === undefined || commit.end + bytes + suffix > commit.limit)
      commit = this.#open(prefix, prefix + bytes + suffix)
    return commit
  }

  #open(prefix: number, bytes: number): PendingCommit {
    const { lastIndex } = this
    const rotateBefore = this.#rotateNext
    if (rotateBefore) this.#fill = { bytes: 0, entries: 0 }
    this.#rotateNext = false
    // The content of a binary segment begins at a block, so what fills it says where in a block the commit will start.
    const start = this.#limits.isDirect ? this.#fill.bytes % BLOCK_BYTES : 0
    this.#fill.bytes += prefix
    const memory = acquireArena(start + bytes)
    const from = { firstIndex: lastIndex + 1, rotateBefore, acceptedAt: this.#monotonic() }
    const limit = Math.min(memory.bytes.length, start + this.#limits.commitMaxBytes)
    const capacity = Math.max(1, lastIndex - this.#openedAfter)
    this.#openedAfter = lastIndex
    this.#filling = new PendingCommit(memory, { start, prefix, limit, capacity }, from)
    this.#onOpen(this.#filling)
    return this.#filling
  }

  #put(commit: PendingCommit, payload: Uint8Array, term: number, timestamp: number, flags: number): void {
    const fields = this.#fields
    fields.index = this.lastIndex + 1
    fields.term = term
    fields.timestamp = timestamp
    fields.flags = flags
    const position = commit.end
    commit.end = this.#format.writeEntry(commit.memory, position, fields, payload)
    this.#fill.bytes += commit.end - position
    this.#fill.entries++
    const first = commit.count === 0 ? FIRST_OF_COMMIT : 0
    commit.offsets.push(position | first | ((flags & FLAG_ENDS_BATCH) === 0 ? 0 : ENDS_BATCH))
    commit.count++
    if (timestamp < commit.minTimestamp) commit.minTimestamp = timestamp
    if (timestamp > commit.maxTimestamp) commit.maxTimestamp = timestamp
    commit.lastTerm = term
    this.#lastTerm = term
    this.lastIndex = fields.index
  }
}

function checkTerm(term: number): number {
  if (typeof term !== 'number') throw new TypeError(`term must be a number, got ${typeof term}`)
  if (Number.isSafeInteger(term) && term >= 0) return term
  throw new WalError('WAL_INVALID_ENTRY', `term must be an integer from 0 to 2^53 - 1, got ${term}.`)
}

function checkTimestamp(timestamp: number | Date): number {
  const value = timestamp instanceof Date ? timestamp.getTime() : timestamp
  if (typeof value !== 'number')
    throw new TypeError(`timestamp must be a number of milliseconds or a Date, got ${typeof value}`)
  if (Number.isFinite(value)) return value + 0 // Not -0, which has no text of its own.
  throw new WalError('WAL_INVALID_ENTRY', `timestamp must be a finite number of milliseconds since 1970, got ${value}.`)
}

/** The time, read once per turn of the event loop: entries accepted in one go share it, and it costs nothing per entry. */
function tickClock(clock: Clock): () => number {
  let stamp = Number.NaN
  const forget = () => {
    stamp = Number.NaN
  }
  return () => {
    if (Number.isNaN(stamp)) {
      stamp = clock.now()
      setImmediate(forget)
    }
    return stamp
  }
}
