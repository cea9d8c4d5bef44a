import type { EventEmitter } from 'node:events'
import type { Clock } from '../clock.js'
import { decodeData, decoderOf, encodeData } from '../codec/encoding.js'
import { EntryPositions } from '../codec/memory.js'
import type {
  AcceptBatchOptions,
  AcceptOptions,
  BackupOptions,
  CursorOptions,
  LogCursor,
  LogStatus,
  RetentionHold,
  StoredLog,
} from '../contract.js'
import { WalError } from '../errors.js'
import type { FileSystem } from '../file-system/types.js'
import type { ResolvedOptions } from '../options.js'
import type { Segment } from '../segments/segment.js'
import type { SegmentStore } from '../segments/segment-store.js'
import type {
  BackupReport,
  Encoding,
  Entry,
  EntryInput,
  EntryOptions,
  IndexRange,
  SegmentInfo,
  WalEvents,
  WalStats,
} from '../types.js'
import type { Admission } from './admission.js'
import { Announcer } from './announcer.js'
import { Backups } from './backups.js'
import { Committer } from './committer.js'
import { FileCursor } from './cursor.js'
import { openAdmission } from './open-admission.js'
import type { PendingCommit } from './pending-commit.js'
import { type ReadableState, ReadSide } from './read-side.js'
import { assertCut, closed, neverComes } from './refusals.js'
import { RetentionKeeper } from './retention-keeper.js'
import { rotateWherePossible, startRotation } from './rotation.js'
import { startOf } from './start.js'
import { statsOf } from './stats-of.js'
import type { Tuning } from './tuning.js'

export interface FileLogParts<In, Out> {
  fs: FileSystem
  clock: Clock
  store: SegmentStore
  options: ResolvedOptions<In, Out>
  tuning: Tuning
  /** Frees what the opening took beside the files: the lock. */
  release: () => Promise<void>
  /** Where the log's events are emitted. */
  events: EventEmitter<WalEvents>
}

/** A log in a directory of this machine. */
export class FileLog<In, Out> implements StoredLog<Out, In>, ReadableState {
  readonly directory: string
  readonly events: EventEmitter<WalEvents>
  readonly announcer: Announcer
  readonly #encoding: Encoding<In, Out>
  readonly #store: SegmentStore
  readonly #committer: Committer
  readonly #admission: Admission
  readonly #side: ReadSide
  readonly #cursors = new Set<FileCursor<Out>>()
  readonly #endListeners = new Set<(error: WalError | undefined) => void>()
  readonly #takeBackListeners = new Set<(lastIndex: number) => void>()
  readonly #syncIsLax: boolean
  readonly #release: () => Promise<void>
  readonly #stopRotation: () => void
  readonly #retention: RetentionKeeper
  readonly #backups: Backups
  #ended = false
  #closing: Promise<void> | undefined

  constructor({ fs, clock, store, options, tuning, release, events }: FileLogParts<In, Out>) {
    this.directory = store.directory
    this.events = events
    this.#encoding = options.encoding
    this.#store = store
    this.#release = release
    this.#syncIsLax = options.sync.kind === 'never'
    this.announcer = new Announcer(events, store.directory)
    this.#side = new ReadSide(fs, this, options.readCacheBytes)
    const { sync, highWaterMark, rotation } = options
    const onCommitted = (commit: PendingCommit, start: number) => this.#committed(commit, start)
    const onChange = () => this.#changed()
    this.#committer = new Committer({
      store,
      clock,
      sync,
      highWaterMark,
      announcer: this.announcer,
      onCommitted,
      onSealed: sealed => this.#retention.sealed(sealed),
      onChange,
    })
    this.#retention = this.#openRetention(clock, options)
    const pin = () => this.#retention.pin(this.firstIndex)
    this.#backups = new Backups({ fs, clock, committer: this.#committer, pin })
    this.#admission = openAdmission(store, clock, { ...options, ...tuning }, commit => this.#committer.enqueue(commit))
    this.#committer.attach(this.#admission)
    this.#stopRotation = startRotation(rotation, {
      clock,
      events,
      active: () => store.active,
      rotate: () => this.rotate(),
    })
  }

  #openRetention(clock: Clock, { retention, logger }: ResolvedOptions<In, Out>): RetentionKeeper {
    const { directory } = this
    const segments = () => this.#store.segments
    return new RetentionKeeper(retention, {
      clock,
      logger,
      directory,
      segments,
      remove: choose => this.#retire(choose),
    })
  }

  // ---- where the log stands

  get format() {
    return this.#store.format
  }

  get segments(): readonly Segment[] {
    return this.#store.segments
  }

  get firstIndex(): number {
    return this.#store.firstIndex
  }

  get lastIndex(): number {
    return this.#committer.lastIndex
  }

  get committedIndex(): number {
    return this.#committer.committedIndex
  }

  get durableIndex(): number {
    return this.#committer.durableIndex
  }

  get status(): LogStatus {
    return this.#committer.status
  }

  get failure(): WalError | undefined {
    return this.#committer.failure
  }

  /** Cursors go by this: while the log is closing they still hand out what its last commits bring. */
  get isClosed(): boolean {
    return this.status === 'closed'
  }

  get writableNeedDrain(): boolean {
    return this.#committer.backlog.isAboveMark
  }

  // ---- writing

  encode(data: In): Uint8Array {
    const payload = encodeData(this.#encoding, data)
    this.#admission.assertEntryFits(payload)
    // Not slice(): that of a Buffer is a view of the caller's memory.
    return new Uint8Array(payload)
  }

  accept(data: In, options?: AcceptOptions): number {
    this.#acceptOne(data, options)
    return this.#admission.lastIndex
  }

  /** Accepts one entry; resolves with its index once committed. Never throws synchronously. */
  append(data: In, options?: AcceptOptions): Promise<number> {
    try {
      const commit = this.#acceptOne(data, options)
      return commit.wait(this.#admission.lastIndex)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  acceptBatch(entries: readonly EntryInput<In>[], options?: AcceptBatchOptions): IndexRange {
    return this.#acceptMany(this.#encodeAll(entries), entries, options).range
  }

  acceptEncoded(entries: readonly EntryInput<Uint8Array>[], options?: AcceptBatchOptions): IndexRange {
    const payloads = Array.from(entries, entry => entry.data)
    return this.#acceptMany(payloads, entries, options).range
  }

  /** As `acceptBatch`; resolves once committed. Never throws synchronously. */
  appendBatch(entries: readonly EntryInput<In>[], options?: AcceptBatchOptions): Promise<IndexRange> {
    try {
      const { commit, range } = this.#acceptMany(this.#encodeAll(entries), entries, options)
      if (commit === undefined) return Promise.resolve(range)
      return commit.wait(range)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #acceptOne(data: In, options: AcceptOptions | undefined): PendingCommit {
    this.#committer.assertAccepting()
    const payload = encodeData(this.#encoding, data)
    // The encoder is the user's code: it may have appended, or closed the log.
    this.#committer.assertAccepting()
    if (options?.expectedLastIndex !== undefined) this.#assertExpected(options.expectedLastIndex)
    const before = this.#admission.filling
    const end = before?.end
    const commit = this.#admission.one(payload, options)
    this.#committer.backlog.add(commit.end - (commit === before ? end! : commit.start), 1)
    return commit
  }

  #acceptMany(
    payloads: Uint8Array[],
    options: readonly EntryOptions[],
    given: AcceptBatchOptions = {},
  ): { commit?: PendingCommit; range: IndexRange } {
    this.#committer.assertAccepting()
    if (given.expectedLastIndex !== undefined) this.#assertExpected(given.expectedLastIndex)
    const firstIndex = this.#admission.lastIndex + 1
    if (payloads.length === 0) return { range: { firstIndex, lastIndex: firstIndex - 1, count: 0 } }
    const before = this.#admission.filling
    const end = before?.end
    const commit = this.#admission.batch(payloads, options, given.transactionId)
    this.#committer.backlog.add(commit.end - (commit === before ? end! : commit.start), payloads.length)
    return { commit, range: { firstIndex, lastIndex: this.#admission.lastIndex, count: payloads.length } }
  }

  /** All data are encoded before anything is accepted: one that cannot be refuses the whole batch. */
  #encodeAll(entries: readonly EntryInput<In>[]): Uint8Array[] {
    this.#committer.assertAccepting()
    const payloads: Uint8Array[] = []
    for (const { data } of entries) {
      const payload = encodeData(this.#encoding, data)
      this.#admission.assertEntryFits(payload)
      payloads.push(payload)
    }
    return payloads
  }

  #assertExpected(expected: number): void {
    const { lastIndex } = this
    if (typeof expected !== 'number') throw new TypeError(`expectedLastIndex must be a number, got ${typeof expected}`)
    if (expected === lastIndex) return
    const message = `expectedLastIndex is ${expected}, but the last index is ${lastIndex}. Nothing was accepted.`
    throw new WalError('WAL_WRONG_EXPECTED_INDEX', message, { lastIndex })
  }

  // ---- waiting

  committed(index: number): Promise<void> {
    if (index <= this.committedIndex) return Promise.resolve()
    const commit = this.#committer.pendingCommitOf(index)
    return commit === undefined ? Promise.reject(neverComes(index, this)) : commit.done(index)
  }

  async durable(index: number): Promise<void> {
    if (index <= this.durableIndex) return
    await this.committed(index)
    if (index > this.durableIndex) await this.#committer.sync()
  }

  drained(): Promise<void> {
    return this.#committer.drained()
  }

  settled(): Promise<void> {
    return this.#syncIsLax ? this.#committer.between(() => Promise.resolve()) : this.sync()
  }

  sync(): Promise<void> {
    return this.#committer.sync()
  }

  onEnd(listener: (error: WalError | undefined) => void): () => void {
    if (this.#ended) queueMicrotask(() => listener(this.failure))
    else this.#endListeners.add(listener)
    return () => this.#endListeners.delete(listener)
  }

  onTakeBack(listener: (lastIndex: number) => void): () => void {
    this.#takeBackListeners.add(listener)
    return () => this.#takeBackListeners.delete(listener)
  }

  // ---- reading

  async get(index: number): Promise<Entry<Out>> {
    this.#assertOpen()
    return this.#decoded(await this.#side.get(index))
  }

  getSync(index: number): Entry<Out> {
    this.#assertOpen()
    return this.#decoded(this.#side.getSync(index))
  }

  #assertOpen(): void {
    if (this.status === 'closed' || this.status === 'closing') throw closed(this.directory)
  }

  cursor(options: CursorOptions<Out> = { live: false }): LogCursor<Out> {
    this.#assertOpen()
    const start = startOf(options.from ?? 'start', this)
    const cursor = new FileCursor<Out>(this.#side, options, {
      ...start,
      committedIndex: this.committedIndex,
      decode: decoderOf(this.#encoding),
      onClose: closed => this.#cursors.delete(closed),
    })
    this.#cursors.add(cursor)
    return cursor
  }

  #decoded(entry: Entry<Buffer>): Entry<Out> {
    const decoded = entry as unknown as Entry<Out>
    decoded.data = decodeData(this.#encoding, entry.data, entry.index)
    return decoded
  }

  // ---- the log as a whole

  segmentInfos(): SegmentInfo[] {
    return this.#store.segments.map(segment => segment.info())
  }

  stats(): Omit<WalStats, 'openTransactions' | 'consumers'> {
    return { ...statsOf(this.#committer), cursors: this.#cursors.size }
  }

  /** Seals the active segment; resolves with what was sealed, or undefined when it held nothing. */
  async rotate(): Promise<SegmentInfo | undefined> {
    this.#committer.assertAccepting()
    let sealed: Segment | undefined
    const done = this.#committer.between(async () => {
      sealed = await rotateWherePossible(this.#committer, this.#admission)
    })
    this.#admission.startedSegment()
    await done
    return sealed?.info()
  }

  async truncateBefore(index: number): Promise<void> {
    if (this.status !== 'paused') this.#committer.assertAccepting()
    assertCut('truncateBefore', index, this, index <= this.lastIndex + 1)
    await this.#committer.evenPaused(async () => {
      if (index <= this.firstIndex) return
      // Or a power cut could leave a first index above everything that the segments still hold.
      await this.#committer.syncCommitted()
      this.#removed(await this.#store.truncateBefore(index))
      this.announcer.announce('truncate', { firstIndex: this.firstIndex, lastIndex: this.lastIndex, side: 'before' })
    })
  }

  readonly holdRetention = (hold: RetentionHold): (() => void) => this.#retention.hold(hold)

  /** Removes the oldest segments up to the one chosen. */
  async #retire(choose: () => Segment | undefined): Promise<boolean> {
    let last: Segment | undefined
    await this.#committer.evenPaused(async () => {
      last = choose()
      if (last !== undefined) this.#removed(await this.#store.truncateBefore(last.lastIndex + 1), 'retention')
    })
    return last !== undefined
  }

  async truncateAfter(index: number): Promise<void> {
    this.#committer.assertAccepting()
    const { firstIndex, lastIndex } = this
    assertCut('truncateAfter', index, this, index <= lastIndex && index >= firstIndex - 1)
    if (index === lastIndex) return this.#committer.between(() => Promise.resolve())
    await this.#takeBack(index, 'after', () => this.#store.truncateAfter(index))
  }

  async reset(nextIndex: number): Promise<void> {
    this.#committer.assertAccepting()
    assertCut('reset', nextIndex, this, nextIndex >= 1)
    await this.#takeBack(nextIndex - 1, 'reset', () => this.#store.reset(nextIndex))
  }

  async #takeBack(lastIndex: number, side: 'after' | 'reset', cut: () => Promise<Segment[]>): Promise<void> {
    const kept = side === 'reset' ? 0 : lastIndex
    const done = this.#committer.takeBack({ index: lastIndex, kept }, async () => {
      this.#side.recent.clear()
      this.#removed(await cut())
      for (const cursor of this.#cursors) cursor.forgetRead()
      settleTerm(this.#store.active.end.lastTerm)
      this.announcer.announce('truncate', { firstIndex: this.firstIndex, lastIndex, side })
      await this.#store.publishMark(lastIndex, true)
    })
    const settleTerm = this.#admission.readLastTerm(() =>
      this.#side.termOf(kept, this.#committer.pendingCommitOf(kept)),
    )
    for (const cursor of [...this.#cursors]) cursor.takenBack(lastIndex, kept)
    for (const listener of [...this.#takeBackListeners]) listener(kept)
    await done
  }

  #removed(segments: readonly Segment[], reason: 'retention' | 'truncate' = 'truncate'): void {
    this.#side.forget(segments)
    for (const segment of segments) this.announcer.announce('remove', { segment: segment.info(), reason })
    this.#side.changed()
  }

  backup(directory: string, options?: BackupOptions): Promise<BackupReport> {
    return this.#backups.write(directory, options)
  }

  resume(): Promise<void> {
    return this.#committer.resume()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#stopRotation()
    this.#backups.stop()
    try {
      await this.#committer.close()
    } finally {
      for (const cursor of [...this.#cursors]) if (this.failure !== undefined) cursor.close(this.failure)
      this.#side.close()
      this.#end()
      await this.#backups.close()
      await this.#release()
      this.announcer.announce('close')
    }
  }

  // ---- what follows from a commit

  #committed(commit: PendingCommit, start: number): void {
    const { active } = this.#store
    if (start === active.contentStart) this.#beginTable(active)
    active.offsets?.pushScaled(commit.offsets, start - commit.start, this.format.alignment)
    this.#side.keep(commit, start, active.end.offset - start)
  }

  /** A segment's offset table grows with it from its first commit; that of the one before may be dropped from now on. */
  #beginTable(active: Segment): void {
    active.offsets = new EntryPositions(1024)
    const before = this.#store.segments.at(-2)
    if (before !== undefined) this.#side.sealed(before)
  }

  #changed(): void {
    if (this.status === 'failed' || this.status === 'closing') this.#end()
    this.#side.changed()
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#retention.stop()
    const listeners = [...this.#endListeners]
    this.#endListeners.clear()
    for (const listener of listeners) listener(this.failure)
  }
}
