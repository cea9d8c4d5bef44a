/** The public contract as types, nothing else. docs/API.md says what they mean. */
import type { EventEmitter } from 'node:events'
import type { Readable, Transform, Writable } from 'node:stream'
import type { WalError } from './errors.js'

// ---- entries, encodings -------------------------------------------------------------------------------------------
export interface Entry<T> {
  index: number
  term: number
  timestamp: number
  data: T
  checksum: number
  transactionId?: string
}
export interface EntryOptions {
  term?: number
  timestamp?: number | Date
}
export interface EntryInput<In> extends EntryOptions {
  data: In
}
export interface IndexRange {
  firstIndex: number
  lastIndex: number
  count: number
}
export interface Encoding<In, Out = In> {
  readonly name: string
  encode(data: In): Uint8Array
  decode(bytes: Buffer): Out
}
export interface StandardSchema<T> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => unknown
    readonly types?: { readonly input: T; readonly output: unknown } | undefined
  }
}

// ---- opening ------------------------------------------------------------------------------------------------------
export interface WalOptions {
  sync?: 'always' | { intervalMs: number } | 'never'
  format?: 'binary' | 'ndjson'
  segmentMaxBytes?: number
  rotation?: { maxEntries?: number; maxAgeMs?: number; trigger?: Trigger | AsyncIterable<unknown> }
  retention?: {
    maxSegments?: number
    maxBytes?: number
    maxAgeMs?: number
    holdForConsumers?: boolean
    maxHeldBytes?: number
    archive?: (segment: SegmentInfo) => Promise<void>
  }
  highWaterMark?: number
  maxEntryBytes?: number
  maxBatchBytes?: number
  readCacheBytes?: number
  writerThread?: boolean
  io?: 'auto' | 'direct' | 'buffered'
  recovery?: 'tolerate-torn-tail' | 'strict'
  startIndex?: number
  createIfMissing?: boolean
  transaction?: { timeoutMs?: number; maxEntries?: number }
  lock?: { acquire(path: string): Promise<{ release(): Promise<void> }> }
  logger?: Logger
  fileSystem?: unknown // the FileSystem of walrus-wal/testing
}
export interface Trigger {
  subscribe(observer: { next(value: unknown): void; error(error: unknown): void; complete(): void }): {
    unsubscribe(): void
  }
}
export interface Logger {
  debug(obj: object, msg?: string): void
  info(obj: object, msg?: string): void
  warn(obj: object, msg?: string): void
  error(obj: object, msg?: string): void
}
export interface FollowOptions {
  pollIntervalMs?: number
  readCacheBytes?: number
  logger?: Logger
  fileSystem?: unknown
}

// ---- reading ------------------------------------------------------------------------------------------------------
export type From = 'start' | 'end' | number | { timestamp: number | Date }
export interface ReadOptions<T = unknown> {
  from?: From
  to?: number
  signal?: AbortSignal
  chunkMaxBytes?: number
  copy?: boolean
  filter?: (entry: Entry<T>) => boolean
}
export interface TailOptions<T = unknown> extends ReadOptions<T> {
  onCaughtUp?: (index: number) => void
  onFellBehind?: (index: number) => void
}
export type Chunk<T> = readonly Entry<T>[] & { readonly firstIndex: number; readonly lastIndex: number }
/** Single use: iterate entries, or take chunks(), or close. */
export interface Cursor<T> extends AsyncIterableIterator<Entry<T>, void, undefined>, AsyncDisposable {
  readonly nextIndex: number
  readonly caughtUp: boolean
  chunks(): AsyncIterableIterator<Chunk<T>, void, undefined>
}
export interface EntryStream<T> extends Readable {
  read(size?: number): Entry<T> | null
  [Symbol.asyncIterator](): NodeJS.AsyncIterator<Entry<T>, undefined, unknown>
}
export interface WalReader<out T> extends EventEmitter<WalEvents>, AsyncDisposable {
  readonly directory: string
  readonly firstIndex: number
  readonly lastIndex: number
  readonly committedIndex: number
  readonly durableIndex: number
  readonly status: 'open' | 'paused' | 'failed' | 'closing' | 'closed'
  readonly recoveryReport: RecoveryReport
  get(index: number, options?: { signal?: AbortSignal }): Promise<Entry<T>>
  getSync(index: number): Entry<T>
  getRange(from: number, to: number, options?: { signal?: AbortSignal }): Promise<Entry<T>[]>
  replay(from: number): Cursor<T>
  replay(options?: ReadOptions<T>): Cursor<T>
  tail(from: number): Cursor<T>
  tail(options?: TailOptions<T>): Cursor<T>
  readable(options?: TailOptions<T> & { live?: boolean }): EntryStream<T>
  consumer(name: string, options?: ConsumerOptions<T>): WalConsumer<T>
  consumers(): ConsumerInfo[]
  deleteConsumer(name: string): Promise<void>
  waitForCommit(index: number, options?: { signal?: AbortSignal }): Promise<void>
  waitForDurable(index: number, options?: { signal?: AbortSignal }): Promise<void>
  segments(): SegmentInfo[]
  stats(): WalStats
  verify(options?: VerifyOptions): Promise<VerifyReport>
  close(): Promise<void>
}

// ---- writing ------------------------------------------------------------------------------------------------------
export interface BatchOptions {
  expectedLastIndex?: number
  signal?: AbortSignal
}
export interface AppendOptions extends EntryOptions, BatchOptions {}
export interface Wal<out T, in In = T> extends WalReader<T> {
  append(data: In, options?: AppendOptions): Promise<number>
  submit(data: In, options?: EntryOptions & { expectedLastIndex?: number }): number
  appendBatch(data: readonly In[], options?: AppendOptions): Promise<IndexRange>
  appendEntries(entries: readonly EntryInput<In>[], options?: BatchOptions): Promise<IndexRange>
  transaction(options?: { timeoutMs?: number; maxEntries?: number }): WalTransaction<In>
  readonly writableNeedDrain: boolean
  drained(options?: { signal?: AbortSignal }): Promise<void>
  sync(options?: { signal?: AbortSignal }): Promise<void>
  writable(options?: { input?: 'data' | 'entry' }): Writable
  transform(options?: { input?: 'data' | 'entry' }): Transform
  rotate(): Promise<SegmentInfo | undefined>
  truncateBefore(index: number): Promise<void>
  truncateAfter(index: number): Promise<void>
  reset(nextIndex: number): Promise<void>
  backup(
    directory: string,
    options?: { signal?: AbortSignal; onProgress?: (progress: Progress) => void },
  ): Promise<BackupReport>
  resume(): Promise<void>
}
export interface WalTransaction<In> extends AsyncDisposable {
  readonly id: string
  readonly state: 'pending' | 'committed' | 'rolled-back' | 'expired'
  append(data: In, options?: EntryOptions): void
  commit(options?: BatchOptions): Promise<IndexRange>
  rollback(): void
}

// ---- consumers ----------------------------------------------------------------------------------------------------
export interface ConsumerOptions<T = unknown> {
  from?: From
  directory?: string
  checkpointIntervalMs?: number
  filter?: (entry: Entry<T>) => boolean
}
export interface RunOptions<T> {
  chunkMaxEntries?: number
  chunkMaxBytes?: number
  signal?: AbortSignal
  onError?:
    | 'stop'
    | 'retry'
    | 'skip'
    | ((error: unknown, entry: Entry<T>) => 'stop' | 'retry' | 'skip' | Promise<'stop' | 'retry' | 'skip'>)
  retry?: { attempts?: number; minDelayMs?: number; maxDelayMs?: number }
}
export interface WalConsumer<out T> extends EventEmitter<ConsumerEvents>, AsyncDisposable {
  readonly name: string
  readonly checkpointIndex: number // last processed, 0 = none
  readonly lagEntries: number
  chunks(options?: {
    chunkMaxEntries?: number
    chunkMaxBytes?: number
    signal?: AbortSignal
  }): AsyncIterableIterator<Chunk<T>, void, undefined>
  checkpoint(index?: number): Promise<void> // default: the last entry handed out
  readonly position: string | undefined // of the last entry handed out; store it with a view, resume with seek({ position })
  seek(from: From | { position: string }): void // the next entry handed out (after `position`)
  run(handler: (entries: Chunk<T>, context: { signal: AbortSignal }) => unknown, options?: RunOptions<T>): Promise<void>
  whenCaughtUp(options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<void>
  whenProcessed(index: number, options?: { timeoutMs?: number; signal?: AbortSignal }): Promise<void>
  close(): Promise<void>
}
export interface ConsumerEvents {
  caughtUp: [number]
  fellBehind: [number]
  checkpoint: [number]
  skip: [{ index: number; error: unknown }]
  held: [{ heldBytes: number; maxHeldBytes: number }]
}
export interface ConsumerInfo {
  name: string
  checkpointIndex: number
  lagEntries: number
  heldBytes: number
  active: boolean
}

// ---- events, reports, errors --------------------------------------------------------------------------------------
export interface WalEvents {
  commit: [{ firstIndex: number; lastIndex: number; bytes: number }]
  rotate: [{ sealed: SegmentInfo; opened: SegmentInfo }]
  remove: [{ segment: SegmentInfo; reason: 'retention' | 'truncate' }]
  truncate: [{ firstIndex: number; lastIndex: number; side: 'before' | 'after' | 'reset' }]
  pause: [{ error: WalError }]
  resume: []
  fail: [{ error: WalError }]
  drain: []
  close: []
}
export interface SegmentInfo {
  id: number
  path: string
  firstIndex: number
  lastIndex: number
  entries: number
  bytes: number
  sealed: boolean
  firstTimestamp?: number
  lastTimestamp?: number
}
export interface RecoveryReport {
  clean: boolean
  cutBytes: number
  cutFromIndex?: number
  cutPath?: string
  copiedEntries: number
  removedFiles: string[]
  durationMs: number
}
export interface Progress {
  done: number
  total: number
  unit: 'bytes' | 'entries'
}
export interface VerifyOptions {
  signal?: AbortSignal
  onProgress?: (progress: Progress) => void
}
export interface Finding {
  kind: 'torn' | 'corrupt' | 'missing' | 'duplicate' | 'foreign' | 'gap' | 'manifest' | 'index'
  segment?: string
  offset?: number
  firstIndex?: number
  lastIndex?: number
  message: string
}
export interface VerifyReport {
  ok: boolean
  entries: number
  bytes: number
  segments: SegmentInfo[]
  findings: Finding[]
  throughPageCache: boolean
  durationMs: number
}
export interface RepairReport {
  dryRun: boolean
  strategy: 'truncate-at-damage' | 'salvage'
  findings: Finding[]
  keptEntries: number
  lostRanges: IndexRange[]
  output: string
}
export interface BackupReport {
  directory: string
  firstIndex: number
  lastIndex: number
  bytes: number
  linkedSegments: number
  copiedSegments: number
  durationMs: number
}
export interface Histogram {
  count: number
  min: number
  mean: number
  p50: number
  p99: number
  max: number
}
export interface WalStats {
  entriesAppended: number
  bytesAppended: number
  commits: number
  syncs: number
  pendingBytes: number
  pendingEntries: number
  commitEntries: Histogram
  commitLatencyMs: Histogram
  syncLatencyMs: Histogram
  segments: number
  usedBytes: number
  openTransactions: number
  cursors: number
  consumers: number
  rotations: number
  io: 'direct' | 'buffered'
}
