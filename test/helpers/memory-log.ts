import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { crc32 } from 'node:zlib'
import { decodeData, encodeData } from '../../src/codec/encoding.js'
import type { AcceptBatchOptions, AcceptOptions, CursorOptions, Log, LogCursor, LogStatus } from '../../src/contract.js'
import { WalError } from '../../src/errors.js'
import type { Encoding, Entry, EntryInput, IndexRange, WalEvents } from '../../src/types.js'
import { MemoryCursor } from './memory-cursor.js'

export interface MemoryLogOptions<T, In> {
  encoding: Encoding<In, T>
  highWaterMark?: number
  maxEntryBytes?: number
  maxBatchBytes?: number
  startIndex?: number
}

interface Stored {
  index: number
  term: number
  timestamp: number
  bytes: Buffer
  transactionId: string | undefined
}

interface Waiter {
  index: number
  resolve: () => void
  reject: (error: WalError) => void
}

/** A log that keeps its entries in memory and honours contract.ts, with handles to hold commits back, pause and fail. */
export class MemoryLog<T, In = T> implements Log<T, In> {
  readonly directory = `memory:${randomUUID()}`
  readonly events = new EventEmitter<WalEvents>().setMaxListeners(0)
  status: LogStatus = 'open'
  firstIndex: number
  lastIndex: number
  committedIndex: number
  /** How often each of these was called. */
  readonly calls = { accept: 0, acceptBatch: 0, settled: 0, drained: 0 }
  /** The largest number of bytes that were ever accepted and not committed. */
  maxPendingBytes = 0
  pendingBytes = 0
  readonly openCursors = new Set<MemoryCursor<T>>()
  readonly endListeners = new Set<(error: WalError | undefined) => void>()
  readonly takeBackListeners = new Set<(lastIndex: number) => void>()
  readonly #options: Required<MemoryLogOptions<T, In>>
  /** `#stored[0]` is entry `firstIndex`. */
  #stored: Stored[] = []
  #commitScheduled = false
  #disk: 'ok' | 'held' | 'full' | 'broken' = 'ok'
  #failure: WalError | undefined
  #commitWaiters: Waiter[] = []
  #drainWaiters: Waiter[] = []

  constructor(options: MemoryLogOptions<T, In>) {
    const defaults = {
      commits: 'auto',
      highWaterMark: 8 << 20,
      maxEntryBytes: 16 << 20,
      maxBatchBytes: 64 << 20,
      startIndex: 1,
    }
    this.#options = { ...defaults, ...options } as Required<MemoryLogOptions<T, In>>
    this.firstIndex = this.#options.startIndex
    this.lastIndex = this.committedIndex = this.firstIndex - 1
  }

  get durableIndex(): number {
    return this.committedIndex
  }

  get writableNeedDrain(): boolean {
    return this.pendingBytes > this.#options.highWaterMark
  }

  // ---- writing ----------------------------------------------------------------------------------------------------

  accept(data: In, options: AcceptOptions = {}): number {
    this.calls.accept++
    const { expectedLastIndex, ...rest } = options
    const entry = { ...rest, data: this.encode(data) }
    return this.#admit([entry], expectedLastIndex === undefined ? {} : { expectedLastIndex }).lastIndex
  }

  acceptBatch(entries: readonly EntryInput<In>[], options: AcceptBatchOptions = {}): IndexRange {
    this.calls.acceptBatch++
    return this.#admit(
      entries.map(entry => ({ ...entry, data: this.encode(entry.data) })),
      options,
    )
  }

  acceptEncoded(entries: readonly EntryInput<Uint8Array>[], options: AcceptBatchOptions = {}): IndexRange {
    return this.#admit(entries, options)
  }

  encode(data: In): Uint8Array {
    const encoded = Buffer.from(encodeData(this.#options.encoding, data))
    if (encoded.length <= this.#options.maxEntryBytes) return encoded
    throw new WalError('WAL_ENTRY_TOO_LARGE', `an entry of ${encoded.length} bytes is over the limit`)
  }

  drained(): Promise<void> {
    this.calls.drained++
    if (this.#failure) return Promise.reject(this.#failure)
    if (this.status === 'closing' || this.status === 'closed') return Promise.reject(this.#closedError())
    if (this.#isDrained()) return Promise.resolve()
    return new Promise((resolve, reject) => this.#drainWaiters.push({ index: 0, resolve, reject }))
  }

  settled(): Promise<void> {
    this.calls.settled++
    return this.committed(this.lastIndex)
  }

  #admit(entries: readonly EntryInput<Uint8Array>[], options: AcceptBatchOptions): IndexRange {
    this.#checkWritable()
    const { expectedLastIndex, transactionId } = options
    if (expectedLastIndex !== undefined && expectedLastIndex !== this.lastIndex) {
      throw new WalError('WAL_WRONG_EXPECTED_INDEX', `expected ${expectedLastIndex}, the log is at ${this.lastIndex}`)
    }
    const bytes = entries.reduce((sum, entry) => sum + entry.data.length, 0)
    if (entries.length > 1 && bytes > this.#options.maxBatchBytes) {
      throw new WalError('WAL_BATCH_TOO_LARGE', `a batch of ${bytes} bytes is over the limit`)
    }
    const firstIndex = this.lastIndex + 1
    for (const entry of entries) this.#store(entry, transactionId)
    this.pendingBytes += bytes
    this.maxPendingBytes = Math.max(this.maxPendingBytes, this.pendingBytes)
    this.#scheduleCommit()
    return { firstIndex, lastIndex: this.lastIndex, count: entries.length }
  }

  #store(entry: EntryInput<Uint8Array>, transactionId: string | undefined): void {
    const term = entry.term ?? this.#stored.at(-1)?.term ?? 0
    const timestamp = entry.timestamp === undefined ? Date.now() : Number(entry.timestamp)
    this.#stored.push({ index: ++this.lastIndex, term, timestamp, bytes: Buffer.from(entry.data), transactionId })
  }

  #checkWritable(): void {
    if (this.#failure) throw this.#failure
    if (this.status === 'paused') throw new WalError('WAL_NO_SPACE', 'the log is paused: no space')
    if (this.status !== 'open') throw this.#closedError()
  }

  #closedError(): WalError {
    return new WalError('WAL_CLOSED', `the log ${this.directory} is closed`)
  }

  #isDrained(): boolean {
    return this.status !== 'paused' && this.pendingBytes <= this.#options.highWaterMark / 2
  }

  #scheduleCommit(): void {
    if (this.#commitScheduled) return
    this.#commitScheduled = true
    setImmediate(() => {
      this.#commitScheduled = false
      if (this.status === 'open') this.#tryCommit()
    })
  }

  #tryCommit(): void {
    if (this.#disk === 'held' || this.lastIndex === this.committedIndex) return
    if (this.#disk === 'full') this.pause()
    else if (this.#disk === 'broken') this.fail(Object.assign(new Error('EIO'), { code: 'EIO' }))
    else this.commit()
  }

  // ---- what tests do to it ----------------------------------------------------------------------------------------

  /** 'held': nothing is committed. 'full': the next commit pauses the log. 'broken': the next commit fails it. */
  setDisk(disk: 'ok' | 'held' | 'full' | 'broken'): void {
    this.#disk = disk
    if (disk !== 'held') this.#scheduleCommit()
  }

  /** Commits what was accepted, up to `index`. */
  commit(index = this.lastIndex): void {
    if (index <= this.committedIndex) return
    const firstIndex = this.committedIndex + 1
    const bytes = this.#slice(firstIndex, index).reduce((sum, entry) => sum + entry.bytes.length, 0)
    this.committedIndex = index
    this.pendingBytes -= bytes
    this.#settleWaiters()
    this.#wakeCursors()
    this.events.emit('commit', { firstIndex, lastIndex: index, bytes })
  }

  pause(): void {
    this.status = 'paused'
    this.events.emit('pause', { error: new WalError('WAL_NO_SPACE', 'no space') })
  }

  resume(): void {
    this.status = 'open'
    this.#scheduleCommit()
    this.#settleWaiters()
    this.events.emit('resume')
  }

  fail(cause: Error): WalError {
    this.#failure = new WalError('WAL_FAILED', 'a write failed', { cause })
    this.status = 'failed'
    this.#cut(this.committedIndex)
    this.#rejectWaiters(this.#failure, 0)
    this.#end(this.#failure)
    this.events.emit('fail', { error: this.#failure })
    return this.#failure
  }

  async close(): Promise<void> {
    if (this.status === 'closed') return
    const failed = this.status === 'failed'
    this.status = 'closing'
    for (const waiter of this.#drainWaiters.splice(0)) waiter.reject(this.#closedError())
    if (!failed) this.#end(undefined)
    await new Promise(resolve => setImmediate(resolve))
    if (!failed) this.commit()
    this.status = 'closed'
    this.#wakeCursors()
    this.events.emit('close')
  }

  truncateAfter(index: number): void {
    this.#cut(index)
    this.committedIndex = Math.min(this.committedIndex, index)
    this.#rejectWaiters(this.#truncatedError(index + 1, 'after'), index + 1)
    for (const cursor of this.openCursors) {
      if (cursor.handedOutIndex > index) cursor.fail(this.#truncatedError(index + 1, 'after'))
    }
    for (const listener of [...this.takeBackListeners]) listener(index)
    this.events.emit('truncate', { firstIndex: this.firstIndex, lastIndex: index, side: 'after' })
  }

  truncateBefore(index: number): void {
    const { firstIndex } = this
    this.#stored = this.#stored.slice(index - firstIndex)
    this.firstIndex = index
    this.events.emit('truncate', { firstIndex: index, lastIndex: this.lastIndex, side: 'before' })
  }

  /** All entries, committed or not, as they read back. */
  entries(): Entry<T>[] {
    return this.read(this.firstIndex, this.lastIndex)
  }

  #cut(index: number): void {
    const removed = this.#slice(Math.max(index, this.committedIndex) + 1, this.lastIndex)
    this.pendingBytes -= removed.reduce((sum, entry) => sum + entry.bytes.length, 0)
    this.#stored = this.#stored.slice(0, index - this.firstIndex + 1)
    this.lastIndex = index
  }

  // ---- waiting ----------------------------------------------------------------------------------------------------

  committed(index: number): Promise<void> {
    if (this.#failure && index > this.committedIndex) return Promise.reject(this.#failure)
    if (index <= this.committedIndex) return Promise.resolve()
    return new Promise((resolve, reject) => this.#commitWaiters.push({ index, resolve, reject }))
  }

  durable(index: number): Promise<void> {
    return this.committed(index)
  }

  onEnd(listener: (error: WalError | undefined) => void): () => void {
    this.endListeners.add(listener)
    return () => this.endListeners.delete(listener)
  }

  onTakeBack(listener: (lastIndex: number) => void): () => void {
    this.takeBackListeners.add(listener)
    return () => this.takeBackListeners.delete(listener)
  }

  #end(error: WalError | undefined): void {
    for (const listener of this.endListeners) listener(error)
    this.endListeners.clear()
    this.#wakeCursors()
  }

  #settleWaiters(): void {
    const due = this.#commitWaiters.filter(waiter => waiter.index <= this.committedIndex)
    this.#commitWaiters = this.#commitWaiters.filter(waiter => waiter.index > this.committedIndex)
    if (this.#isDrained()) due.push(...this.#drainWaiters.splice(0))
    for (const waiter of due) waiter.resolve()
  }

  #rejectWaiters(error: WalError, fromIndex: number): void {
    const due = this.#commitWaiters.filter(waiter => waiter.index >= fromIndex)
    this.#commitWaiters = this.#commitWaiters.filter(waiter => waiter.index < fromIndex)
    if (fromIndex === 0) due.push(...this.#drainWaiters.splice(0))
    for (const waiter of due) waiter.reject(error)
  }

  // ---- reading ----------------------------------------------------------------------------------------------------

  cursor(options: CursorOptions<T> = { live: false }): LogCursor<T> {
    if (this.status === 'closing' || this.status === 'closed') throw this.#closedError()
    const cursor = new MemoryCursor(this, options)
    this.openCursors.add(cursor)
    return cursor
  }

  get failure(): WalError | undefined {
    return this.#failure
  }

  /** The entries of a range, decoded. */
  read(from: number, to: number): Entry<T>[] {
    return this.#slice(from, to).map(stored => {
      const { bytes, transactionId, ...rest } = stored
      const data = decodeData<T>(this.#options.encoding as Encoding<never, T>, bytes, stored.index)
      const entry: Entry<T> = { ...rest, data, checksum: crc32(bytes) }
      return transactionId === undefined ? entry : { ...entry, transactionId }
    })
  }

  sizeOf(index: number): number {
    return this.#slice(index, index)[0]?.bytes.length ?? 0
  }

  indexAtTime(timestamp: number): number {
    const found = this.#slice(this.firstIndex, this.committedIndex).find(entry => entry.timestamp >= timestamp)
    return found?.index ?? this.committedIndex + 1
  }

  #truncatedError(index: number, lost: 'before' | 'after'): WalError {
    return new WalError('WAL_TRUNCATED', `entry ${index} was removed`, { firstIndex: index, lost })
  }

  #slice(from: number, to: number): Stored[] {
    return this.#stored.slice(Math.max(0, from - this.firstIndex), Math.max(0, to - this.firstIndex + 1))
  }

  #wakeCursors(): void {
    for (const cursor of this.openCursors) cursor.wake()
  }
}
