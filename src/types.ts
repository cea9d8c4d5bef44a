/** The public contract as types, nothing else. docs/API.md says what they mean. */
import type { EventEmitter } from 'node:events'
import type { Readable, Transform, Writable } from 'node:stream'
import type { WalError } from './errors.js'

// ---- entries, encodings -------------------------------------------------------------------------------------------
/** One entry as readers get it: a plain object whose properties are its own and enumerable. */
export interface Entry<T> {
  /** Position in the log, a safe integer. The first entry of a log has index 1, or its `startIndex`; there are no gaps. */
  index: number
  /** Safe integer from 0 on that the caller gave, or that of the entry before. The log stores it and checks no order. */
  term: number
  /** Milliseconds since the Unix epoch, possibly with a fraction. */
  timestamp: number
  /**
   * The payload, as the encoding decoded it. From `get` and `getSync` it has memory of its own; from a cursor it may be a view
   * of a larger buffer that never changes: copy what you keep for long, or ask for `copy: true`.
   */
  data: T
  /** CRC-32 (IEEE) over the entry and its place in this log; the same number in every copy of the log. */
  checksum: number
  /** Of the transaction that wrote the entry: 16 hex digits. Absent outside of transactions. */
  transactionId?: string
}
/** What can be said of an entry beside its data. */
export interface EntryOptions {
  /** Safe integer from 0 on. Default: the term of the last entry, 0 in a new log. */
  term?: number
  /** Milliseconds since the Unix epoch, or a Date. Default: now. */
  timestamp?: number | Date
}
/** An entry to be written, for `appendEntries` and for streams with `input: 'entry'`. */
export interface EntryInput<In> extends EntryOptions {
  /** The payload, for the encoding to encode. */
  data: In
}
/** A run of consecutive entries. */
export interface IndexRange {
  /** Index of the first entry. */
  firstIndex: number
  /** Index of the last entry, inclusive; `firstIndex - 1` where there is none. */
  lastIndex: number
  /** Number of entries. */
  count: number
}
/** Turns data into bytes and back. `bytes()`, `text()` and `json()` are built in. */
export interface Encoding<In, Out = In> {
  /** Stored in the log, 1 to 64 bytes; opening for write with another name is `WAL_MISMATCH`. */
  readonly name: string
  /**
   * Synchronous; the log copies the result before the call that appends returns. What it throws, and a result that is no
   * Uint8Array, refuses that call with `WAL_INVALID_ENTRY`.
   */
  encode(data: In): Uint8Array
  /** Synchronous. What it throws fails the read with `WAL_INVALID_ENTRY` and the index of the entry. */
  decode(bytes: Buffer): Out
}
/** What `json()` takes as a schema: the part of Standard Schema it uses, so zod, valibot and arktype fit. */
export interface StandardSchema<T> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    /** Accepts or refuses; what it makes of the value is not used. Has to answer synchronously. */
    readonly validate: (value: unknown) => unknown
    readonly types?: { readonly input: T; readonly output: unknown } | undefined
  }
}

// ---- opening ------------------------------------------------------------------------------------------------------
/** Options of `openWal`. An option that is unknown, or not built yet, is `WAL_INVALID_OPTION` and named. */
export interface WalOptions {
  /**
   * When an append counts as done. Default `'always'`.
   * - `'always'`: once it is on stable storage. Appends that meet share one write and one sync.
   * - `{ intervalMs }`: once the operating system has it. A sync starts within that many milliseconds; a power cut in between
   *   may take the newest entries.
   * - `'never'`: once the operating system has it. Only sealing a segment, truncation, `sync()` and `close()` cause a sync.
   */
  sync?: 'always' | { intervalMs: number } | 'never'
  /**
   * Layout on disk. `'ndjson'` is a line of JSON for each entry, for `jq` and `tail -f`. Default: that of the log, `'binary'`
   * for a new one. Another one than the stored is `WAL_MISMATCH`.
   */
  format?: 'binary' | 'ndjson'
  /** Used bytes from which on a segment is sealed and the next one begun; a soft limit. Default 64 MiB. */
  segmentMaxBytes?: number
  /**
   * Further reasons to begin a new segment, none by default: a number of entries, an age in milliseconds, or whatever
   * `trigger` emits (an RxJS Observable fits, as does an AsyncIterable).
   */
  rotation?: { maxEntries?: number; maxAgeMs?: number; trigger?: Trigger | AsyncIterable<unknown> }
  /** Which sealed segments are removed, oldest first. Default: none. Checked on its own clock and at rotation. */
  retention?: {
    /** Segments to keep. */
    maxSegments?: number
    /** Used bytes to keep. */
    maxBytes?: number
    /** Milliseconds since a segment was sealed, by the writer's clock. */
    maxAgeMs?: number
    /** Whether removal waits for the named consumers of this process. */
    holdForConsumers?: boolean
    /** Bytes held back for consumers and a running backup, at most; beyond it they are overtaken. Default 8 GiB. */
    maxHeldBytes?: number
    /** Awaited before the file of a segment goes. */
    archive?: (segment: SegmentInfo) => Promise<void>
  }
  /**
   * Bytes accepted and not yet committed from which on `submit` throws `WAL_BACKPRESSURE` and streams wait. A threshold: one
   * entry or batch may overshoot. Default 8 MiB.
   */
  highWaterMark?: number
  /** Largest encoded entry in bytes; a larger one is `WAL_ENTRY_TOO_LARGE`. Default 16 MiB. */
  maxEntryBytes?: number
  /** Largest batch in bytes; a larger one is `WAL_BATCH_TOO_LARGE`. Default 64 MiB. */
  maxBatchBytes?: number
  /**
   * Memory for what makes reads quick, in bytes: the offset tables of sealed segments (4 bytes an entry; without one the segment is
   * read through for the next `get`) and the last commits, from which tails are served. Default 36 MiB.
   */
  readCacheBytes?: number
  /**
   * True: commits are written by one worker thread for all logs of the process, so that a busy libuv pool cannot stall them; and
   * with a `sync` other than 'always' another one syncs. Costs some 25 ms at the first opening and some 10 MB. `WAL_IO` where no
   * thread can be started, `WAL_INVALID_OPTION` with another `fileSystem`; if it dies the log fails with `WAL_FAILED`. Default false.
   */
  writerThread?: boolean
  /**
   * Whether writes bypass the page cache. `'auto'`, the default, does so with `sync: 'always'` and the binary format where the
   * file system can.
   */
  io?: 'auto' | 'direct' | 'buffered'
  /**
   * What an open after a crash does about damage beyond what is proven to have been durable. `'tolerate-torn-tail'`, the
   * default, leaves it out, keeps the old file and reports it; `'strict'` refuses to open with `WAL_CORRUPT`. Damage to what
   * was proven durable is `WAL_CORRUPT` either way.
   */
  recovery?: 'tolerate-torn-tail' | 'strict'
  /** Index of the first entry of a log that is being created. Default 1. */
  startIndex?: number
  /** False: `WAL_NOT_FOUND` where there is no log. Default true. */
  createIfMissing?: boolean
  /** Limits of a transaction, unless it is given its own. Default 30,000 ms and 1,000 entries. */
  transaction?: { timeoutMs?: number; maxEntries?: number }
  /** Keeps a second writer out, in place of the kernel's lock. `acquire` rejects when another holds it. */
  lock?: { acquire(path: string): Promise<{ release(): Promise<void> }> }
  /** Is told of recovery, rotation, removal and failures; a pino logger fits. Default: silence. */
  logger?: Logger
  /** The FileSystem of walrus-wal/testing. Default: that of the machine. */
  fileSystem?: unknown
}
/** Anything that can be subscribed to, such as an RxJS Observable. */
export interface Trigger {
  subscribe(observer: { next(value: unknown): void; error(error: unknown): void; complete(): void }): {
    unsubscribe(): void
  }
}
/** What the log needs of a logger: one method for each level, the object before the text. What a logger throws breaks nothing. */
export interface Logger {
  debug(obj: object, msg?: string): void
  info(obj: object, msg?: string): void
  warn(obj: object, msg?: string): void
  error(obj: object, msg?: string): void
}
/** Options of `followWal`. */
export interface FollowOptions {
  /** Milliseconds between looks at the writer's mark where the file system does not tell of changes. */
  pollIntervalMs?: number
  /** Memory for what was read last, in bytes. */
  readCacheBytes?: number
  /** Default: silence. */
  logger?: Logger
  /** The FileSystem of walrus-wal/testing. Default: that of the machine. */
  fileSystem?: unknown
}

// ---- reading ------------------------------------------------------------------------------------------------------
/**
 * Where reading begins. `'end'` is the entry after `committedIndex` and, like a time, is fixed at the call. A time means the
 * lowest index whose timestamp is not before it, also where timestamps do not rise; later than all entries, it means
 * `'end'`. `'start'` stays valid until the first entry is read, whatever retention removes. A number below `firstIndex` is
 * `WAL_TRUNCATED`, one below 1 or above `lastIndex + 1` is `WAL_INDEX_OUT_OF_RANGE`; a follower waits for the latter instead.
 */
export type From = 'start' | 'end' | number | { timestamp: number | Date }
/** Options of a cursor. */
export interface ReadOptions<T = unknown> {
  /** Default `'start'`. */
  from?: From
  /** Index of the last entry to read, inclusive. Clamped to what there is. */
  to?: number
  /** Ends the cursor: a pending read rejects with the signal's reason, a stream is destroyed with an AbortError. */
  signal?: AbortSignal
  /** Bytes at which a chunk ends. A chunk ends inside of a batch only where the batch is larger than that. */
  chunkMaxBytes?: number
  /** True: the data of each entry has memory of its own. Default false: a view of the chunk's. */
  copy?: boolean
  /** Entries it refuses are left out. What it throws fails the cursor. */
  filter?: (entry: Entry<T>) => boolean
  /**
   * True: entries that `repairWal` had to declare lost are left out. Default false: reaching them fails the cursor with WAL_CORRUPT,
   * kind 'gap', and their range.
   */
  skipGaps?: boolean
}
/** Options of a cursor that goes on with what is committed later. */
export interface TailOptions<T = unknown> extends ReadOptions<T> {
  /** The cursor has read the last committed entry, that one being `index`; it says nothing of what the caller has handled. */
  onCaughtUp?: (index: number) => void
  /** The cursor has been overtaken and reads from disk again; `index` is the next it will hand out. */
  onFellBehind?: (index: number) => void
}
/**
 * A run of entries as a cursor reads them. `firstIndex` and `lastIndex` bound the range it covers, which is wider than its
 * entries where a filter left some out.
 */
export type Chunk<T> = readonly Entry<T>[] & { readonly firstIndex: number; readonly lastIndex: number }
/**
 * Hands out every entry once and in order. Single use: iterate entries, or take chunks(), or close.
 *
 * Reading rejects with `WAL_TRUNCATED` when the next entry was removed (`lost: 'before'`), or one already handed out was cut
 * off (`lost: 'after'`); with `WAL_CORRUPT`, `WAL_FAILED`, `WAL_IO`, or `WAL_INVALID_ENTRY` where data cannot be decoded.
 * When the log is closed a tail ends and a replay rejects with `WAL_CLOSED`, so a replay that ends has read everything.
 */
export interface Cursor<T> extends AsyncIterableIterator<Entry<T>, void, undefined>, AsyncDisposable {
  /** Index of the next entry it will hand out. */
  readonly nextIndex: number
  /** Whether the last read reached the end of what is committed. */
  readonly caughtUp: boolean
  /**
   * The same entries in runs: the fastest way to read. A tail's entries of `bytes()` are frozen in them, because all tails are handed
   * the same ones; the array is the caller's own.
   */
  chunks(): AsyncIterableIterator<Chunk<T>, void, undefined>
}
/** A Readable in object mode, whose chunks are entries. */
export interface EntryStream<T> extends Readable {
  read(size?: number): Entry<T> | null
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<Entry<T>, undefined, unknown>
}
/**
 * A log to read from, that of `followWal` or the writer's own. It emits `WalEvents` and never `'error'`. In an empty log
 * `firstIndex` is `lastIndex + 1`; `durableIndex <= committedIndex <= lastIndex` always holds.
 */
export interface WalReader<out T> extends EventEmitter<WalEvents>, AsyncDisposable {
  /** Path of the log's directory. */
  readonly directory: string
  /** Index of the oldest entry there is. */
  readonly firstIndex: number
  /** Last index given out; what lies above `committedIndex` is promised nothing yet. */
  readonly lastIndex: number
  /** Last index whose commit did what the `sync` option asks. It survives `kill -9`, and no reader sees beyond it. */
  readonly committedIndex: number
  /** Last index known to be on stable storage. It survives a power cut. With `sync: 'always'` the same as `committedIndex`. */
  readonly durableIndex: number
  /**
   * - `'paused'`: a write found no space. What was accepted is held, reading goes on, appends reject with `WAL_NO_SPACE`
   *   until `resume()`.
   * - `'failed'`: a write or a sync failed. Nothing more is accepted (`WAL_FAILED`), durable entries can be read; close and
   *   open again.
   */
  readonly status: 'open' | 'paused' | 'failed' | 'closing' | 'closed'
  /** What the open found and did. */
  readonly recoveryReport: RecoveryReport
  /**
   * Reads one entry. Rejects with `WAL_TRUNCATED` below `firstIndex`, with `WAL_INDEX_OUT_OF_RANGE` above `committedIndex`;
   * with `WAL_CORRUPT`, `WAL_IO`, `WAL_INVALID_ENTRY`, `WAL_CLOSED`.
   */
  get(index: number, options?: { signal?: AbortSignal }): Promise<Entry<T>>
  /** As `get`, blocking the event loop where the entry has to come from disk. */
  getSync(index: number): Entry<T>
  /** Reads the entries from `from` to `to`, both inclusive, into memory; errors as `get`. */
  getRange(from: number, to: number, options?: { signal?: AbortSignal }): Promise<Entry<T>[]>
  /** Reads from an index, or from the start, and ends at what was `committedIndex` at the call. */
  replay(from: number): Cursor<T>
  replay(options?: ReadOptions<T>): Cursor<T>
  /** As `replay`, and goes on with what is committed later, until it is aborted or returned from, or the log is closed. */
  tail(from: number): Cursor<T>
  tail(options?: TailOptions<T>): Cursor<T>
  /** A tail as a stream; with `live: false` a replay. Default `live: true`. */
  readable(options?: TailOptions<T> & { live?: boolean }): EntryStream<T>
  /**
   * A named reader whose position is stored. Names have 1 to 128 of `A-Z a-z 0-9 . _ -` and do not start with a dot, else
   * `WAL_INVALID_OPTION`. A second active reader of one name is `WAL_CONSUMER_ACTIVE` at its first read.
   */
  consumer(name: string, options?: ConsumerOptions<T>): WalConsumer<T>
  /** The consumers with a stored position, and those that are active. */
  consumers(): ConsumerInfo[]
  /** Removes the stored position of a consumer. */
  deleteConsumer(name: string): Promise<void>
  /**
   * Resolves once `committedIndex` has reached `index`; waiters of one commit share one promise. Rejects as the append of
   * that index would: `WAL_FAILED`, `WAL_TRUNCATED`, `WAL_CLOSED`, or with the signal's reason.
   */
  waitForCommit(index: number, options?: { signal?: AbortSignal }): Promise<void>
  /** Resolves once `durableIndex` has reached `index`, and starts a sync where the `sync` option would not. */
  waitForDurable(index: number, options?: { signal?: AbortSignal }): Promise<void>
  /** The segments, oldest first; the last one is being written. */
  segments(): SegmentInfo[]
  /** Counters since the open, and what is in use now. */
  stats(): WalStats
  /** Reads and checks everything there is. Damage is reported in the findings, not thrown. */
  verify(options?: VerifyOptions): Promise<VerifyReport>
  /**
   * Commits and syncs what was accepted, ends the readers, frees the lock. Idempotent. Resolves for a failed log; for a paused
   * one what it held rejects with `WAL_NO_SPACE`.
   */
  close(): Promise<void>
}

// ---- writing ------------------------------------------------------------------------------------------------------
/** Options of a call that writes a batch. */
export interface BatchOptions {
  /** Nothing is accepted, and the call rejects with `WAL_WRONG_EXPECTED_INDEX`, unless this is `lastIndex` at the call. */
  expectedLastIndex?: number
  /**
   * Aborted before the call: nothing is accepted, it rejects with the reason. Aborted later: it rejects with
   * `WAL_OUTCOME_UNKNOWN`, the index and the reason as `cause`, and the entries stay accepted.
   */
  signal?: AbortSignal
}
/** Options of `append` and `appendBatch`. */
export interface AppendOptions extends EntryOptions, BatchOptions {}
/**
 * A log open for writing. The calls that append accept synchronously, in the order of the calls: the data are encoded and
 * copied, the index is given. What they return settles when `committedIndex` gets there. They never throw synchronously,
 * but for `submit`, and reject with `WAL_INVALID_ENTRY`, `WAL_ENTRY_TOO_LARGE`, `WAL_BATCH_TOO_LARGE`,
 * `WAL_WRONG_EXPECTED_INDEX`, `WAL_NO_SPACE` or `WAL_CLOSED` when nothing was accepted, and with `WAL_FAILED` when the
 * outcome is unknown.
 */
export interface Wal<out T, in In = T> extends WalReader<T> {
  /** Appends one entry; resolves to its index. Awaiting it is the back-pressure. */
  append(data: In, options?: AppendOptions): Promise<number>
  /**
   * Accepts one entry and returns its index at once: the cheapest way in; `waitForCommit` says when it is committed. Throws
   * what `append` rejects with, and `WAL_BACKPRESSURE` above the high-water mark: wait for `drained()` then.
   */
  submit(data: In, options?: EntryOptions & { expectedLastIndex?: number }): number
  /** Appends entries that become durable all or none; `term` and `timestamp` are for each of them. */
  appendBatch(data: readonly In[], options?: AppendOptions): Promise<IndexRange>
  /** As `appendBatch`, with a term and a timestamp of its own for each entry. */
  appendEntries(entries: readonly EntryInput<In>[], options?: BatchOptions): Promise<IndexRange>
  /**
   * Collects entries in memory, to be written as one batch. It expires after `timeoutMs` milliseconds, and holds at most
   * `maxEntries`; the defaults are the log's own.
   */
  transaction(options?: { timeoutMs?: number; maxEntries?: number }): WalTransaction<In>
  /** Whether the bytes accepted and not committed exceed the high-water mark, so that `submit` would throw. */
  readonly writableNeedDrain: boolean
  /** Resolves once those bytes are at half the high-water mark or less; at once if they are. */
  drained(options?: { signal?: AbortSignal }): Promise<void>
  /** Resolves once all that was accepted before the call is on stable storage. */
  sync(options?: { signal?: AbortSignal }): Promise<void>
  /**
   * A Writable in object mode: each chunk is one entry, or an `EntryInput` with `input: 'entry'`. A write's callback means
   * accepted, `'finish'` means on stable storage (with `sync: 'never'` committed). An error destroys the stream, with the
   * log's error; the entries before it stay.
   */
  writable(options?: { input?: 'data' | 'entry' }): Writable
  /** As `writable`, and gives each entry out once it is committed, as it reads back. */
  transform(options?: { input?: 'data' | 'entry' }): Transform
  /** Seals the segment and begins the next. Resolves to the sealed one, to undefined when it was empty. */
  rotate(): Promise<SegmentInfo | undefined>
  /**
   * Makes `index` the first index; consumers are not asked. Nothing to do when it is that or less. `WAL_INDEX_OUT_OF_RANGE`
   * above `lastIndex + 1`.
   */
  truncateBefore(index: number): Promise<void>
  /**
   * Makes `index` the last index, at the call: what was accepted above it rejects with `WAL_TRUNCATED`.
   * `WAL_INDEX_OUT_OF_RANGE` above `lastIndex` or below `firstIndex - 1`.
   */
  truncateAfter(index: number): Promise<void>
  /** Empties the log; the next entry gets `nextIndex`. */
  reset(nextIndex: number): Promise<void>
  /** Writes a copy of the log, up to `durableIndex` at the call, into a new directory, while appends go on. */
  backup(
    directory: string,
    options?: { signal?: AbortSignal; onProgress?: (progress: Progress) => void },
  ): Promise<BackupReport>
  /** One try to leave `'paused'`: writes what is held. Rejects with `WAL_NO_SPACE` when there still is no space. */
  resume(): Promise<void>
}
/** Entries that are written together at `commit()`, or not at all. They live in memory until then. */
export interface WalTransaction<In> extends AsyncDisposable {
  /** 16 hex digits, random; its entries carry it as `transactionId`. */
  readonly id: string
  readonly state: 'pending' | 'committed' | 'rolled-back' | 'expired'
  /**
   * Encodes and keeps one entry. Throws `WAL_TRANSACTION_CLOSED` or `WAL_TRANSACTION_EXPIRED` when it is no longer pending,
   * and what the entry itself is refused for.
   */
  append(data: In, options?: EntryOptions): void
  /** Writes the entries as one batch; resolves when it is committed. */
  commit(options?: BatchOptions): Promise<IndexRange>
  /** Drops the entries. */
  rollback(): void
}

// ---- consumers ----------------------------------------------------------------------------------------------------
/** Options of a named consumer. */
export interface ConsumerOptions<T = unknown> {
  /** Where it begins when it has no stored position. Default `'start'`. */
  from?: From
  /** Directory its position is stored in. Default: in the log's own; a follower has to name one. */
  directory?: string
  /** Milliseconds within which a position that was noted is stored. Default 100. */
  checkpointIntervalMs?: number
  /** Entries it refuses are passed over. */
  filter?: (entry: Entry<T>) => boolean
}
/** Options of `WalConsumer.run`. */
export interface RunOptions<T> {
  /** Entries in a chunk, at most. */
  chunkMaxEntries?: number
  /** Bytes at which a chunk ends. */
  chunkMaxBytes?: number
  /** Ends the run once the handler is done with the chunk in hand and its position is stored. */
  signal?: AbortSignal
  /**
   * What happens when the handler fails. Its chunk is offered again entry by entry first. `'stop'` rejects the run, `'retry'`
   * tries again after a pause and stops in the end, `'skip'` drops the entry and reports it.
   */
  onError?:
    | 'stop'
    | 'retry'
    | 'skip'
    | ((error: unknown, entry: Entry<T>) => 'stop' | 'retry' | 'skip' | Promise<'stop' | 'retry' | 'skip'>)
  /** How often `'retry'` tries, and how long it pauses: the delay grows from the least to the most. Milliseconds. */
  retry?: { attempts?: number; minDelayMs?: number; maxDelayMs?: number }
}
/**
 * A named reader that sees every entry at least once, also across restarts. Its position is never stored above
 * `durableIndex`, and goes backwards only by `seek`. Reading rejects as a cursor does; a stored position beyond the end of
 * what it was taken from (after a power cut, `truncateAfter`, a restored backup) is `WAL_TRUNCATED` with `lost: 'after'`
 * until `seek`.
 */
export interface WalConsumer<out T> extends EventEmitter<ConsumerEvents>, AsyncDisposable {
  readonly name: string
  /** Index of the last entry processed; 0 for none. */
  readonly checkpointIndex: number
  /** Entries committed and not yet processed. */
  readonly lagEntries: number
  /** The entries from its position on, in runs; goes on with what is committed later. */
  chunks(options?: {
    chunkMaxEntries?: number
    chunkMaxBytes?: number
    signal?: AbortSignal
  }): AsyncIterableIterator<Chunk<T>, void, undefined>
  /** Notes that all entries up to `index` are processed, by default up to the last one handed out; resolves once stored. */
  checkpoint(index?: number): Promise<void>
  /**
   * Where the last entry handed out lies, as a string to be stored together with a view, so that each entry takes effect
   * there exactly once: resume with `seek({ position })`. Undefined before the first entry.
   */
  readonly position: string | undefined
  /** Sets the next entry to be handed out; after `{ position }`, that is the entry behind it. */
  seek(from: From | { position: string }): void
  /**
   * Calls the handler with one chunk after the other and stores the position after each. Ends in order when it is aborted or the
   * log is closed, and rejects when the handler fails and `onError` says stop.
   */
  run(handler: (entries: Chunk<T>, context: { signal: AbortSignal }) => unknown, options?: RunOptions<T>): Promise<void>
  /** Resolves once everything committed at the call is processed. `WAL_TIMEOUT` after `timeoutMs` milliseconds. */
  whenCaughtUp(options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<void>
  /** Resolves once the entry at `index` is processed. `WAL_TIMEOUT` after `timeoutMs` milliseconds. */
  whenProcessed(index: number, options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<void>
  /** Stores its position and ends its reads. Idempotent. */
  close(): Promise<void>
}
/** Events of a consumer, with their arguments. */
export interface ConsumerEvents {
  /** It has read the last committed entry, that of this index. */
  caughtUp: [number]
  /** It has been overtaken and reads from disk again, from this index on. */
  fellBehind: [number]
  /** This index was stored. */
  checkpoint: [number]
  /** An entry was dropped by `onError: 'skip'`. */
  skip: [{ index: number; error: unknown }]
  /** Retention waits for it, and holds this many bytes of the most it will. */
  held: [{ heldBytes: number; maxHeldBytes: number }]
}
/** A consumer as `consumers()` lists it. */
export interface ConsumerInfo {
  name: string
  /** Index of the last entry processed; 0 for none. */
  checkpointIndex: number
  /** Entries committed and not yet processed. */
  lagEntries: number
  /** Bytes that retention keeps for it. */
  heldBytes: number
  /** Whether somebody reads under that name now. */
  active: boolean
}

// ---- events, reports, errors --------------------------------------------------------------------------------------
/**
 * Events of a log, with their arguments. Listeners run after the promises of the commit have settled; what they throw
 * surfaces as an uncaught exception later, never inside the log. The channels `walrus:commit` and so on of
 * node:diagnostics_channel carry the same, with `directory`.
 */
export interface WalEvents {
  /** A commit did what the `sync` option asks. */
  commit: [{ firstIndex: number; lastIndex: number; bytes: number }]
  /** A segment was sealed and the next begun. */
  rotate: [{ sealed: SegmentInfo; opened: SegmentInfo }]
  /** The file of a segment was removed. */
  remove: [{ segment: SegmentInfo; reason: 'retention' | 'truncate' }]
  /** The log was truncated, to this range. */
  truncate: [{ firstIndex: number; lastIndex: number; side: 'before' | 'after' | 'reset' }]
  /** A write found no space. */
  pause: [{ error: WalError }]
  /** What was held is written. */
  resume: []
  /** A write or a sync failed; nothing more is accepted. */
  fail: [{ error: WalError }]
  /** After back-pressure, the bytes not committed are at half the high-water mark or less. */
  drain: []
  /** The log is closed. */
  close: []
}
/** One file of the log. */
export interface SegmentInfo {
  /** Rises from segment to segment and is never given twice. */
  id: number
  /** Path of the file. */
  path: string
  firstIndex: number
  /** Inclusive; `firstIndex - 1` in an empty segment. */
  lastIndex: number
  entries: number
  /** Bytes in use; the file may be larger. */
  bytes: number
  /** Whether it will never change again. */
  sealed: boolean
  /** Lowest timestamp of its entries, in milliseconds since the Unix epoch. */
  firstTimestamp?: number
  /** Highest timestamp of its entries, in milliseconds since the Unix epoch. */
  lastTimestamp?: number
}
/** What opening the log found and did. */
export interface RecoveryReport {
  /** The log had been closed in order, or is new. */
  clean: boolean
  /** Bytes left out as torn; they stay in `cutPath`. */
  cutBytes: number
  /** Index from which on entries were left out. Absent when there were none. */
  cutFromIndex?: number
  /** The file that still holds what was left out. */
  cutPath?: string
  /** Entries that were found intact, were not proven durable, and were copied into a new segment. */
  copiedEntries: number
  /** Paths of files that were removed: unfinished ones and segments that are no longer part of the log. */
  removedFiles: string[]
  durationMs: number
}
/** How far a long call has come. */
export interface Progress {
  done: number
  total: number
  unit: 'bytes' | 'entries'
}
/** Options of `verify` and `verifyWal`. */
export interface VerifyOptions {
  signal?: AbortSignal
  onProgress?: (progress: Progress) => void
}
/** One thing that is wrong with a log. */
export interface Finding {
  /**
   * - `'torn'`: unfinished at the end, where a crash may leave it
   * - `'corrupt'`: damaged where it had been durable
   * - `'missing'`, `'duplicate'`, `'foreign'`: a segment that is not there, is there twice, belongs to another log
   * - `'gap'`: entries that a repair had to leave out
   * - `'manifest'`, `'index'`: damage to the file that describes the log, or to a segment's index
   */
  kind: 'torn' | 'corrupt' | 'missing' | 'duplicate' | 'foreign' | 'gap' | 'manifest' | 'index'
  /** Path of the segment. */
  segment?: string
  /** Byte in that file. */
  offset?: number
  /** First index concerned. */
  firstIndex?: number
  /** Last index concerned, inclusive. */
  lastIndex?: number
  /** What was found, what was expected, for a person. */
  message: string
}
/** What `verify` and `verifyWal` found. */
export interface VerifyReport {
  /** There are no findings. */
  ok: boolean
  /** Entries that were read and are intact. */
  entries: number
  /** Bytes that were read. */
  bytes: number
  segments: SegmentInfo[]
  findings: Finding[]
  /** Whether it was read through the page cache, which may show what is not on the disk. */
  throughPageCache: boolean
  durationMs: number
}
/** What `repairWal` did, or would do. */
export interface RepairReport {
  /** Nothing was written. */
  dryRun: boolean
  strategy: 'truncate-at-damage' | 'salvage'
  findings: Finding[]
  /** Entries in the repaired log. */
  keptEntries: number
  /** Entries that could not be kept. */
  lostRanges: IndexRange[]
  /** Directory of the repaired log. */
  output: string
}
/** What `backup` wrote. */
export interface BackupReport {
  /** Directory of the copy. */
  directory: string
  firstIndex: number
  lastIndex: number
  bytes: number
  /** Segments that share their file with the log, by a hard link. */
  linkedSegments: number
  /** Segments that were copied. */
  copiedSegments: number
  durationMs: number
}
/** How a measured value is spread. */
export interface Histogram {
  /** Number of measurements. */
  count: number
  min: number
  mean: number
  /** Half of the values are not above this one. */
  p50: number
  /** 99 of 100 values are not above this one. */
  p99: number
  max: number
}
/** Counters since the open, and what is in use now. */
export interface WalStats {
  entriesAppended: number
  bytesAppended: number
  commits: number
  /** Syncs of a segment file. */
  syncs: number
  /** Bytes accepted and not yet committed. */
  pendingBytes: number
  /** Entries accepted and not yet committed. */
  pendingEntries: number
  /** Entries in a commit. */
  commitEntries: Histogram
  /** From the first entry of a commit being accepted to its commit, in milliseconds. */
  commitLatencyMs: Histogram
  /** Duration of a sync in milliseconds. */
  syncLatencyMs: Histogram
  /** Segments there are now. */
  segments: number
  /** Bytes in use in them. */
  usedBytes: number
  /** Transactions that are pending. */
  openTransactions: number
  /** Cursors that are open. */
  cursors: number
  /** Consumers that are active. */
  consumers: number
  rotations: number
  /** How segments are written. */
  io: 'direct' | 'buffered'
}
