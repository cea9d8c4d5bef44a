import type { EventEmitter } from 'node:events'
import type { Clock } from '../clock.js'
import { decodeData, decoderOf } from '../codec/encoding.js'
import type { Epoch, Format } from '../codec/format.js'
import { decodeManifest, decodeMark, MANIFEST_MAGIC, MARK_MAGIC, type Mark } from '../codec/manifest.js'
import type { CursorOptions, LogCursor, LogHistory, LogStatus, ReadableLog } from '../contract.js'
import { WalError } from '../errors.js'
import { isMissing } from '../file-system/errno.js'
import { ioError } from '../file-system/io-error.js'
import { TwoSlotFile } from '../file-system/two-slot-file.js'
import type { FileSystem } from '../file-system/types.js'
import {
  adoptSegments,
  commonIndex,
  type FollowView,
  Inconsistent,
  isAdvance,
  loadFollowView,
} from '../segments/follow-view.js'
import { readManifest } from '../segments/load.js'
import { MANIFEST_NAME, MARK_NAME } from '../segments/name.js'
import { ScanFailure } from '../segments/scan.js'
import type { Segment } from '../segments/segment.js'
import type { Encoding, Entry, Logger, SegmentInfo, WalEvents, WalStats } from '../types.js'
import { Announcer } from './announcer.js'
import { FileCursor } from './cursor.js'
import { Lookout } from './lookout.js'
import { type ReadableState, ReadSide } from './read-side.js'
import { closed } from './refusals.js'
import { startOf } from './start.js'
import { CommitStatistics } from './statistics.js'

export interface FollowLogParts<Out> {
  fs: FileSystem
  clock: Clock
  directory: string
  encoding: Encoding<never, Out>
  format: Format
  logger: Logger
  pollIntervalMs: number
  readCacheBytes: number
  view: FollowView
  events: EventEmitter<WalEvents>
  /** Ends what reads through the log beside its cursors: consumers store their positions. */
  release: () => Promise<void>
}

/** Errors that last so long are not the writer being in the middle of something. */
const PATIENCE_MS = 5000
/** A segment that cannot be read is read again, each time a little later, and in the end around the page cache. */
const READ_ATTEMPTS = 4
const READ_DELAY_MS = 20
/** Tries to read files that fit together, before the next look is waited for. */
const LOAD_ATTEMPTS = 5

/**
 * A log that another process writes. Shows what is durable there and nothing else: its bound is what the writer has published
 * after a sync. Takes no lock and writes nothing.
 */
export class FollowLog<Out> implements ReadableLog<Out>, ReadableState, LogHistory {
  readonly directory: string
  readonly events: EventEmitter<WalEvents>
  readonly format: Format
  readonly #parts: FollowLogParts<Out>
  readonly #announcer: Announcer
  readonly #side: ReadSide
  readonly #lookout: Lookout
  readonly #cursors = new Set<FileCursor<Out>>()
  readonly #endListeners = new Set<(error: WalError | undefined) => void>()
  readonly #watches = new Map<string, () => void>()
  #view: FollowView
  #status: LogStatus = 'open'
  #failure: WalError | undefined
  #troubleSince: number | undefined
  #release: (() => void) | undefined
  #closing: Promise<void> | undefined

  constructor(parts: FollowLogParts<Out>) {
    const { fs, clock, directory, events, format, pollIntervalMs, view } = parts
    this.#parts = parts
    this.directory = directory
    this.events = events
    this.format = format
    this.#view = view
    this.#announcer = new Announcer(events, directory)
    this.#side = new ReadSide(fs, this, parts.readCacheBytes)
    this.#lookout = new Lookout({ clock, pollIntervalMs, look: () => this.#look() })
    this.#lookout.tell()
  }

  // ---- where the log stands

  get segments(): readonly Segment[] {
    return this.#view.segments
  }

  get firstIndex(): number {
    return this.#view.firstIndex
  }

  get lastIndex(): number {
    return this.#view.lastIndex
  }

  get committedIndex(): number {
    return this.#view.lastIndex
  }

  get durableIndex(): number {
    return this.#view.lastIndex
  }

  get status(): LogStatus {
    return this.#status
  }

  get failure(): WalError | undefined {
    return this.#failure
  }

  get isClosed(): boolean {
    return this.#status === 'closing' || this.#status === 'closed'
  }

  get logId(): string {
    return this.#view.manifest.logId
  }

  get epochs(): readonly Epoch[] {
    return this.#view.epochs
  }

  // ---- waiting

  async committed(index: number): Promise<void> {
    while (index > this.committedIndex) {
      if (this.isClosed) throw closed(this.directory)
      if (this.#failure !== undefined) throw this.#failure
      await new Promise<void>(resolve => {
        this.#side.onceChanged(resolve)
      })
    }
  }

  durable(index: number): Promise<void> {
    return this.committed(index)
  }

  onEnd(listener: (error: WalError | undefined) => void): () => void {
    if (this.#status !== 'open') queueMicrotask(() => listener(this.#failure))
    else this.#endListeners.add(listener)
    return () => this.#endListeners.delete(listener)
  }

  /** Somebody who waits for the writer keeps the process alive. */
  onWaiting(isWaiting: boolean): void {
    if (isWaiting)
      this.#release ??= this.#parts.clock.setTimer(() => undefined, Number.POSITIVE_INFINITY, { keepAlive: true })
    else {
      this.#release?.()
      this.#release = undefined
    }
  }

  // ---- reading

  async get(index: number): Promise<Entry<Out>> {
    return this.#decoded(await this.#side.get(index))
  }

  getSync(index: number): Entry<Out> {
    return this.#decoded(this.#side.getSync(index))
  }

  cursor(options: CursorOptions<Out> = { live: false }): LogCursor<Out> {
    if (this.isClosed) throw closed(this.directory)
    const { from = 'start' } = options
    const isAhead = typeof from === 'number' && Number.isSafeInteger(from) && from > this.lastIndex
    const start = isAhead ? { index: from, floating: false, seek: undefined } : startOf(from, this)
    const cursor = new FileCursor<Out>(this.#side, options, {
      ...start,
      committedIndex: this.committedIndex,
      decode: decoderOf(this.#parts.encoding),
      onClose: done => this.#cursors.delete(done),
    })
    this.#cursors.add(cursor)
    return cursor
  }

  #decoded(entry: Entry<Buffer>): Entry<Out> {
    const decoded = entry as unknown as Entry<Out>
    decoded.data = decodeData(this.#parts.encoding, entry.data, entry.index)
    return decoded
  }

  /**
   * The writer may have removed the segment, and what is in the page cache of a file that is written directly may be old: both
   * are looked at again before they are believed.
   */
  async recheck(error: unknown, segment: Segment, attempt: number): Promise<boolean> {
    const isDoubtful = error instanceof ScanFailure || isMissing(error) || isCorrupt(error)
    if (!isDoubtful || attempt >= READ_ATTEMPTS || this.isClosed) return false
    this.#side.forget([segment])
    if (attempt === READ_ATTEMPTS - 1) this.#side.readDirectly(segment)
    await this.#pause(attempt * READ_DELAY_MS)
    await this.#lookout.look()
    return !this.isClosed
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise(resolve => {
      this.#parts.clock.setTimer(resolve, delayMs, { keepAlive: true })
    })
  }

  // ---- the log as a whole

  segmentInfos(): SegmentInfo[] {
    return this.segments.map(segment => segment.info())
  }

  stats(): Omit<WalStats, 'openTransactions' | 'consumers'> {
    let usedBytes = 0
    for (const segment of this.segments) usedBytes += segment.end.offset
    return {
      ...new CommitStatistics().snapshot(),
      pendingBytes: 0,
      pendingEntries: 0,
      segments: this.segments.length,
      usedBytes,
      cursors: this.#cursors.size,
      io: 'buffered',
    }
  }

  /** Looks at the writer's files now; resolves once what they say is known here. */
  refresh(): Promise<void> {
    return this.#lookout.look()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#status = 'closing'
    for (const stop of this.#watches.values()) stop()
    this.#end(undefined)
    await this.#lookout.stop()
    this.#side.close()
    try {
      await this.#parts.release()
    } finally {
      this.#status = 'closed'
      this.#announcer.announce('close')
    }
  }

  // ---- following the writer

  /** One look: cheap while the writer only appends. Never rejects. */
  async #look(): Promise<boolean> {
    this.#watchAll()
    try {
      const changed = await this.#catchUp()
      this.#troubleSince = undefined
      return changed
    } catch (error) {
      this.#note(error)
      return false
    }
  }

  async #catchUp(): Promise<boolean> {
    const { fs } = this.#parts
    const [manifest, mark] = await Promise.all([
      TwoSlotFile.read(fs, this.#path(MANIFEST_NAME), MANIFEST_MAGIC),
      TwoSlotFile.read(fs, this.#path(MARK_NAME), MARK_MAGIC),
    ])
    const known = JSON.stringify(this.#view.manifest)
    const isSame = manifest.kind === 'ok' && JSON.stringify(decodeManifest(Buffer.from(manifest.payload))) === known
    const seen = mark.kind === 'ok' ? decodeMark(Buffer.from(mark.payload)) : undefined
    if (!isSame || (seen !== undefined && !isAdvance(seen, this.#view))) return this.#reload()
    return seen !== undefined && this.#advance(seen)
  }

  /** The mark moved on in the newest segment. */
  #advance({ offset, index }: Mark): boolean {
    const view = this.#view
    const active = view.segments.at(-1)!
    if (index <= view.lastIndex || this.isClosed) return false
    const bytes = offset - active.end.offset
    active.end = { ...active.end, offset: Math.max(offset, active.end.offset), lastIndex: index }
    this.#view = { ...view, lastIndex: index }
    this.#announcer.announce('commit', { firstIndex: view.lastIndex + 1, lastIndex: index, bytes })
    this.#side.changed()
    return true
  }

  /** Reads all there is to read. Where the writer is in the midst of something, a moment later it is not. */
  async #reload(): Promise<boolean> {
    for (let attempt = 1; ; attempt++) {
      try {
        const { fs } = this.#parts
        const manifest = await readManifest(fs, this.directory)
        const view = await loadFollowView(fs, this.directory, this.format, manifest)
        return !this.isClosed && this.#apply(view)
      } catch (error) {
        if (attempt === LOAD_ATTEMPTS || this.isClosed) throw error
      }
    }
  }

  /** Takes a new view for the old one, and tells everybody whom that concerns. */
  #apply(fresh: FollowView): boolean {
    const old = this.#view
    const common = commonIndex(old, fresh)
    const cut = Math.min(common, old.lastIndex)
    const lastIndex = Math.max(cut, fresh.lastIndex, fresh.firstIndex - 1)
    const newest = old.segments.at(-1)!
    const kept = keepEnd(newest, fresh, common)
    const segments = adoptSegments(old.segments, kept)
    const stays = new Set(segments)
    const gone = old.segments.filter(segment => !stays.has(segment))
    this.#view = { ...fresh, lastIndex, segments }
    this.#side.forget(gone)
    if (common < old.lastIndex) this.#takeBack(common, old.lastIndex)
    if (fresh.firstIndex > old.firstIndex)
      this.#announcer.announce('truncate', { firstIndex: fresh.firstIndex, lastIndex, side: 'before' })
    const firstNew = Math.max(cut + 1, fresh.firstIndex)
    if (lastIndex >= firstNew)
      this.#announcer.announce('commit', { firstIndex: firstNew, lastIndex, bytes: grownBy(old, segments) })
    this.#side.changed()
    return lastIndex !== old.lastIndex || fresh.firstIndex !== old.firstIndex || gone.length > 0
  }

  /** What lay above `index` is gone. A cursor that waits beyond the end has handed out none of it. */
  #takeBack(index: number, lastIndex: number): void {
    const isReset = this.#view.segments[0]!.header.begins && this.firstIndex === index + 1
    for (const cursor of [...this.#cursors]) {
      if (cursor.nextIndex <= lastIndex + 1) cursor.takenBack(index, isReset ? 0 : index)
    }
    const side = isReset ? 'reset' : 'after'
    this.#announcer.announce('truncate', { firstIndex: this.firstIndex, lastIndex: index, side })
  }

  // ---- trouble

  /** What cannot be read now may be readable soon; what cannot for long, or never, ends the following. */
  #note(error: unknown): void {
    const { clock, logger } = this.#parts
    this.#troubleSince ??= clock.monotonic()
    const isFinal = error instanceof WalError && (error.code === 'WAL_UNSUPPORTED_VERSION' || error.kind === 'foreign')
    if (!isFinal && clock.monotonic() - this.#troubleSince < PATIENCE_MS) {
      logger.debug({ directory: this.directory, error }, 'the files of the followed log cannot be read just now')
      return
    }
    if (this.#status !== 'open') return
    this.#failure = asWalError(error, this.directory)
    this.#status = 'failed'
    logger.error({ directory: this.directory, error }, 'the log can no longer be followed')
    this.#announcer.announce('fail', { error: this.#failure })
    this.#end(this.#failure)
    this.#side.changed()
    void this.#lookout.stop()
  }

  #end(error: WalError | undefined): void {
    const listeners = [...this.#endListeners]
    this.#endListeners.clear()
    for (const listener of listeners) listener(error)
  }

  // ---- being told of changes

  #watchAll(): void {
    for (const name of [MARK_NAME, MANIFEST_NAME]) this.#watch(this.#path(name))
  }

  #watch(path: string): void {
    const { fs } = this.#parts
    if (fs.watch === undefined || this.#watches.has(path) || this.isClosed) return
    try {
      const stop = fs.watch(path, replaced => {
        if (replaced) this.#unwatch(path)
        if (replaced) this.#watch(path)
        this.#lookout.tell()
      })
      this.#watches.set(path, stop)
    } catch {
      // Not there yet, or no more watches to be had: then it is looked at by the clock alone.
    }
  }

  #unwatch(path: string): void {
    this.#watches.get(path)?.()
    this.#watches.delete(path)
  }

  #path(name: string): string {
    return `${this.directory}/${name}`
  }
}

/** What was known of the end of a segment is still so, also where the files say less of it now. */
function keepEnd(newest: Segment, fresh: FollowView, common: number): readonly Segment[] {
  const active = fresh.segments.at(-1)!
  const isSame = active.path === newest.path && active.header.salt === newest.header.salt
  if (isSame && common === Number.POSITIVE_INFINITY && active.end.offset < newest.end.offset) active.end = newest.end
  return fresh.segments
}

function grownBy(old: FollowView, segments: readonly Segment[]): number {
  const before = old.segments.at(-1)!.id
  let bytes = 0
  for (const segment of segments) if (segment.id >= before) bytes += segment.end.offset - segment.contentStart
  return bytes
}

function isCorrupt(error: unknown): boolean {
  return error instanceof WalError && error.code === 'WAL_CORRUPT'
}

function asWalError(error: unknown, directory: string): WalError {
  const cause = error instanceof Inconsistent ? new Error(error.message, { cause: error.cause }) : error
  const explained = ioError('following', directory, cause)
  return explained instanceof WalError ? explained : new WalError('WAL_IO', `${String(explained)}`, { cause })
}
