import type { EventEmitter } from 'node:events'
import type { WalError } from './errors.js'
import type {
  BackupReport,
  Chunk,
  Entry,
  EntryInput,
  EntryOptions,
  From,
  IndexRange,
  Progress,
  SegmentInfo,
  WalEvents,
  WalReader,
  WalStats,
} from './types.js'

/**
 * What the adapters (streams, consumers, transactions, rxjs) need of a log. It is all they may know: a log that keeps its
 * entries elsewhere and honours this contract gets the same streams, consumers and test suite.
 *
 * Unless said otherwise a method may be called at any time, in any status, any number of times concurrently, and every
 * rejection is a WalError; data of a type the encoding does not take are a TypeError.
 */
export type LogStatus = WalReader<unknown>['status']

export interface LogReader<T> {
  readonly directory: string
  readonly firstIndex: number
  /** Last index given out. */
  readonly lastIndex: number
  /** Last index whose commit did what the `sync` policy asks; no reader sees beyond it. */
  readonly committedIndex: number
  /** Last index known to be on stable storage. */
  readonly durableIndex: number
  readonly status: LogStatus
  readonly events: EventEmitter<WalEvents>
  /** Resolves once `committedIndex >= index`; one shared promise for all waiters of one commit. */
  committed(index: number): Promise<void>
  /** Resolves once `durableIndex >= index`; starts a sync where the policy would not. */
  durable(index: number): Promise<void>
  /**
   * Opens a cursor. `from` is resolved at the call: an index out of range throws here (WAL_INDEX_OUT_OF_RANGE,
   * WAL_TRUNCATED), as does a closed log (WAL_CLOSED).
   */
  cursor(options?: CursorOptions<T>): LogCursor<T>
  /** Calls back once when the log leaves service: with its failure, or with undefined when it was closed. Returns a function that unsubscribes. */
  onEnd(listener: (error: WalError | undefined) => void): () => void
  /** Lets a named reader keep retention from what it has yet to read. Absent where nothing is removed by itself. */
  readonly holdRetention?: (hold: RetentionHold) => () => void
}

/** A reader that retention waits for. */
export interface RetentionHold {
  /** The first index it has yet to read; undefined: it needs nothing. Asked at every decision, so it must be cheap. */
  heldFrom(): number | undefined
  /** Told whenever more is kept for it than before, and before it is overtaken: once `heldBytes` is above `maxHeldBytes`. */
  onHeld?(held: { heldBytes: number; maxHeldBytes: number }): void
}

/** Part of a log's history: a new one begins with every truncation at the end, reset, and opening after a crash. */
export interface LogEpoch {
  readonly counter: number
  /** 16 hex digits, random: two histories with the same counter are told apart by it. */
  readonly id: string
  /** First index written in this epoch. */
  readonly startIndex: number
}

/** What tells the places in a log's history apart. */
export interface LogHistory {
  /** 32 hex digits, random: tells this log from every other one. */
  readonly logId: string
  /**
   * The epochs that are known, oldest first; a list that is replaced, never changed. An entry belongs to the last one that does not
   * start above it. A new epoch is listed before an entry of it is committed.
   */
  readonly epochs: readonly LogEpoch[]
}

/** What durable consumers need of a log beside reading. */
export interface ConsumableLog<T> extends LogReader<T> {
  segmentInfos(): SegmentInfo[]
}

export interface CursorOptions<T> {
  /** Default `'start'`. */
  from?: From
  /** Inclusive. Clamped; a cursor that passed it ends. Default: for a live cursor none, for a bounded one `committedIndex` at the call. */
  to?: number
  /** True: waits at the end for more (tail). False: ends at `to` (replay). */
  live: boolean
  chunkMaxBytes?: number
  chunkMaxEntries?: number
  /** True: each entry's data has memory of its own instead of a view of the chunk. */
  copy?: boolean
  /**
   * Asked for each chunk of a live cursor; true: it may be one that other readers are handed too, and is frozen where it is, with its
   * entries. Default: every reader gets entries of its own.
   */
  mayShare?: () => boolean
  /** Entries it refuses are left out of the chunks, whose range still covers them. What it throws fails the cursor. */
  filter?: (entry: Entry<T>) => boolean
  /** True: goes on behind entries that a repair declared lost, instead of failing with WAL_CORRUPT. */
  skipGaps?: boolean
  onCaughtUp?: (index: number) => void
  onFellBehind?: (index: number) => void
  /**
   * For a reader that passes chunks on piece by piece: called when entries are removed at the end, so that nothing above `kept` is
   * left. It drops what it holds of them and returns the last index that it has passed on or still will; the cursor goes on behind
   * that. `next` is the cursor's next index: above the one it was when the reader last asked, a chunk is on its way that must be dropped.
   */
  onTakenBack?: (kept: number, next: number) => number
}

/** The one cursor state machine, whatever reads through it. */
export interface LogCursor<T> {
  /** Index of the next entry it will hand out. */
  readonly nextIndex: number
  /** Whether the last read reached the end of what is committed. */
  readonly caughtUp: boolean
  /**
   * The next chunk; may be empty where `filter` dropped all of its range. Undefined at a clean end: past `to`, or, for a live
   * cursor, the log was closed. Rejects with WAL_TRUNCATED, WAL_CORRUPT, WAL_FAILED, WAL_CLOSED (bounded ones), WAL_INVALID_ENTRY,
   * and stays in that state. Not to be called again before it has settled.
   */
  next(): Promise<Chunk<T> | undefined>
  /** Releases everything. A pending `next()` resolves undefined, or rejects with `reason` when one is given. Idempotent. */
  close(reason?: unknown): void
}

export interface Log<T, In = T> extends LogReader<T> {
  /**
   * Accepts one entry now: encodes, copies, gives the index. Throws, with nothing accepted: WAL_CLOSED, WAL_FAILED, WAL_NO_SPACE
   * (paused), WAL_ENTRY_TOO_LARGE, WAL_INVALID_ENTRY, WAL_WRONG_EXPECTED_INDEX. Does not look at the high-water mark.
   */
  accept(data: In, options?: AcceptOptions): number
  /** As `accept`, for entries that become durable all or none; also WAL_BATCH_TOO_LARGE. */
  acceptBatch(entries: readonly EntryInput<In>[], options?: AcceptBatchOptions): IndexRange
  /**
   * The bytes that `accept` would store for `data`, in memory of their own, so that the caller may reuse `data` at once. Accepts
   * nothing and does not look at the status. Throws WAL_INVALID_ENTRY, WAL_ENTRY_TOO_LARGE.
   */
  encode(data: In): Uint8Array
  /** As `acceptBatch`, for data that `encode` has returned (a transaction collects such data until it commits). */
  acceptEncoded(entries: readonly EntryInput<Uint8Array>[], options?: AcceptBatchOptions): IndexRange
  /** Bytes accepted and not committed exceed the high-water mark. */
  readonly writableNeedDrain: boolean
  /**
   * Resolves once those bytes are at half the mark or less (at once when they are) and the log is not paused: never while it is,
   * because whoever got WAL_NO_SPACE from `accept` waits here before trying again. Rejects when the log fails or is closed.
   */
  drained(): Promise<void>
  /**
   * Calls back within `truncateAfter` and `reset`, before an index is given out again: of what was accepted so far nothing above
   * `lastIndex` is left (0 for `reset`). Returns a function that unsubscribes.
   */
  onTakeBack(listener: (lastIndex: number) => void): () => void
  /** Resolves once everything accepted before the call is as durable as `'finish'` promises: synced, or with `'never'` committed. */
  settled(): Promise<void>
}

export interface AcceptOptions extends EntryOptions {
  expectedLastIndex?: number
}
export interface AcceptBatchOptions {
  expectedLastIndex?: number
  /** 16 hex digits; marks every entry of the batch. */
  transactionId?: string
}

export interface BackupOptions {
  signal?: AbortSignal
  /** Bytes of segments; a linked one counts as done at once. What it throws ends the backup. */
  onProgress?: (progress: Progress) => void
}

/** A log whose entries are at hand by index: what the public `WalReader` is made of, beside streams and consumers. */
export interface ReadableLog<T> extends LogReader<T> {
  get(index: number): Promise<Entry<T>>
  getSync(index: number): Entry<T>
  segmentInfos(): SegmentInfo[]
  stats(): Omit<WalStats, 'openTransactions' | 'consumers'>
  close(): Promise<void>
}

/** A log that keeps its entries itself: what the public `Wal` is made of, beside streams, consumers and transactions. */
export interface StoredLog<T, In = T> extends Log<T, In>, ReadableLog<T>, ConsumableLog<T> {
  /** Accepts as `accept` does and resolves with the index once committed. Never throws synchronously. */
  append(data: In, options?: AcceptOptions): Promise<number>
  /** Accepts as `acceptBatch` does and resolves with the range once committed. Never throws synchronously. */
  appendBatch(entries: readonly EntryInput<In>[], options?: AcceptBatchOptions): Promise<IndexRange>
  /** Everything accepted before the call is on stable storage once this resolves. */
  sync(): Promise<void>
  /** Seals the active segment; undefined when it held nothing. */
  rotate(): Promise<SegmentInfo | undefined>
  truncateBefore(index: number): Promise<void>
  truncateAfter(index: number): Promise<void>
  reset(nextIndex: number): Promise<void>
  /**
   * Writes a copy of the log, up to what is durable, into a new directory. Rejects with WAL_IO (the directory is there, a call failed),
   * WAL_NO_SPACE, WAL_CLOSED, WAL_FAILED, WAL_TRUNCATED (a truncation took away what was not yet copied), or the reason of `signal`.
   */
  backup(directory: string, options?: BackupOptions): Promise<BackupReport>
  resume(): Promise<void>
}
