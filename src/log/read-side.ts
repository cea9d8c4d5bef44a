import type { Format } from '../codec/format.js'
import { EntryPositions, POSITION_MASK, type ScanState, startScan, type Window } from '../codec/memory.js'
import { WalError } from '../errors.js'
import { isMissing } from '../file-system/errno.js'
import { ioError } from '../file-system/io-error.js'
import { readFully, readFullySync } from '../file-system/transfer.js'
import type { File, FileSystem } from '../file-system/types.js'
import { DEFAULT_READ_CACHE_BYTES } from '../options.js'
import { ScanFailure, startSegmentScan, walkOffsets } from '../segments/scan.js'
import { findGap, findSegment, type Segment } from '../segments/segment.js'
import { driveSharing, driveSync, readWindow, type Walk, type WindowRequest } from '../segments/window.js'
import type { Entry } from '../types.js'
import type { PendingCommit } from './pending-commit.js'
import { type Piece, pieceOf, RecentCommits } from './recent.js'
import { Scratch, syncScratch } from './scratch.js'
import { SegmentFiles } from './segment-files.js'
import { Slices } from './slices.js'
import { ThinOffsets } from './thin-offsets.js'
import { Turns } from './turns.js'
import { WindowBudget } from './window-reader.js'

/** What readers must know of the log they read; the writer and the follower each have theirs. */
export interface ReadableState {
  readonly directory: string
  readonly format: Format
  /** The chain, oldest first. */
  readonly segments: readonly Segment[]
  readonly firstIndex: number
  readonly lastIndex: number
  readonly committedIndex: number
  /** Set when what lies beyond the durable entries is in doubt. */
  readonly failure: WalError | undefined
  readonly isClosed: boolean
  /**
   * What a follower does before it believes an error of reading a segment: looks whether the writer has removed it meanwhile, and lets
   * it be read anew. Resolves with whether to read again.
   */
  recheck?(error: unknown, segment: Segment, attempt: number): Promise<boolean>
  /** Told when the first one begins to wait for a change, and when nobody waits any more. */
  onWaiting?(isWaiting: boolean): void
}

/** How much of the last commits is kept, at most, for cursors that do not wait for them. */
const RECENT_BYTES = 4 << 20
/** The last commits get this part of a cache that is too small for them and the tables. */
const RECENT_SHARE = 1 / 4
/** Memory for gets under way that is kept for the next ones. */
const MAX_SCRATCHES = 64

/** A cursor that follows the log. */
interface LiveCursor {
  /** What it hands out next. */
  readonly nextIndex: number
  /** It has read everything and waits for more. */
  readonly isAtEnd: boolean
}

/** Reading by index and by position: what `get` and all cursors of a log share. */
export class ReadSide {
  readonly state: ReadableState
  readonly recent: RecentCommits
  readonly slices: Slices
  readonly turns = new Turns()
  /** What the offset tables of sealed segments may take together; they are built anew when they are needed again. */
  readonly #maxTableBytes: number
  readonly #files: SegmentFiles
  /** Offset tables being built, so that many who need one build it once. */
  readonly #building = new Map<Segment, Promise<void>>()
  /** Sealed segments with an offset table, and its size. */
  readonly #tables = new Map<Segment, number>()
  /** What is left of tables there is no room for, in the order of last use; counted in `#tableBytes` too. */
  readonly #thinned = new Map<Segment, ThinOffsets>()
  #tableBytes = 0
  /** Counts the uses of tables; a segment remembers that of its last one. */
  #uses = 0
  #usesTables = false
  readonly #waiters = new Set<() => void>()
  readonly #scratches: Scratch[] = []
  readonly windows = new WindowBudget()
  /** Cursors that follow the log and would read the next commit from memory. */
  readonly liveCursors = new Set<LiveCursor>()

  constructor(fs: FileSystem, state: ReadableState, cacheBytes: number = DEFAULT_READ_CACHE_BYTES) {
    this.state = state
    const recentBytes = Math.min(RECENT_BYTES, cacheBytes * RECENT_SHARE)
    this.recent = new RecentCommits(recentBytes)
    this.slices = new Slices(state.format)
    this.#maxTableBytes = cacheBytes - recentBytes
    this.#files = new SegmentFiles(fs)
  }

  /** Calls back once at the next change of the log; returns a function that takes the wish back. */
  onceChanged(callback: () => void): () => void {
    this.#waiters.add(callback)
    if (this.#waiters.size === 1) this.state.onWaiting?.(true)
    return () => {
      if (this.#waiters.delete(callback) && this.#waiters.size === 0) this.state.onWaiting?.(false)
    }
  }

  /** Wakes everybody who waits for a change. */
  changed(): void {
    if (this.#waiters.size === 0) return
    const waiting = [...this.#waiters]
    this.#waiters.clear()
    this.state.onWaiting?.(false)
    for (const wake of waiting) wake()
  }

  forget(segments: readonly Segment[]): void {
    for (const segment of segments) {
      this.#files.forget(segment)
      this.#forgetTable(segment)
    }
  }

  /** From now on the segment is read around the page cache where that can be had. */
  readDirectly(segment: Segment): void {
    this.#files.readDirectly(segment)
  }

  close(): void {
    this.#files.close()
    this.slices.clear()
    if (this.liveCursors.size === 0) this.recent.clear()
    this.changed()
  }

  /** A cursor that followed the log is done. */
  leaveLive(cursor: LiveCursor): void {
    this.liveCursors.delete(cursor)
    if (this.liveCursors.size > 0) return
    this.slices.clear()
    if (this.state.isClosed) this.recent.clear()
  }

  /**
   * A commit counts: it is kept for those who follow. What all of them have read by now goes at once, so that its memory is free again
   * while it is young. What those who wait at the end have yet to read stays, also where many commits count at the same moment.
   */
  keep(commit: PendingCommit, start: number, length: number): void {
    if (this.liveCursors.size === 0) return
    let unread = Infinity
    let awaited = Infinity
    for (const { nextIndex, isAtEnd } of this.liveCursors) {
      if (nextIndex < unread) unread = nextIndex
      if (isAtEnd && nextIndex < awaited) awaited = nextIndex
    }
    this.recent.dropBelow(unread)
    this.recent.add(pieceOf(commit, start, length), awaited)
  }

  /** Throws what reading `index` gets when there is no such entry (yet, or any more). */
  assertReadable(index: number): void {
    const { firstIndex, committedIndex, isClosed } = this.state
    if (!Number.isSafeInteger(index) || index < firstIndex || index > committedIndex || isClosed) this.#refuse(index)
  }

  #refuse(index: number): never {
    const { firstIndex, lastIndex, committedIndex, failure, directory } = this.state
    if (typeof index !== 'number') throw new TypeError(`An index must be a number, got ${typeof index}`)
    if (this.state.isClosed) throw new WalError('WAL_CLOSED', `The log in ${directory} is closed.`)
    const range = { index, firstIndex, lastIndex: committedIndex }
    if (!Number.isSafeInteger(index) || index < 1)
      throw outOfRange(`Indexes are integers from 1 on, got ${index}.`, range)
    if (index < firstIndex) throw truncatedBefore(index, firstIndex)
    if (failure !== undefined) throw failure
    if (index <= lastIndex)
      throw outOfRange(`Entry ${index} is accepted, not yet committed. Wait with waitForCommit(${index}).`, range)
    throw outOfRange(`There is no entry ${index}; the last one is ${lastIndex}.`, range)
  }

  async get(index: number, attempt = 1): Promise<Entry<Buffer>> {
    this.assertReadable(index)
    const recent = this.#getRecent(index)
    if (recent !== undefined) return recent
    const segment = this.segmentOf(index)
    const scratch = this.#scratches.pop() ?? new Scratch()
    try {
      const read = async (place: WindowRequest) => {
        const window = scratch.open(place)
        await this.#files.using(segment, async file => {
          window.length = await readFully(file, window.bytes, window.length, window.start)
        })
        return window
      }
      const thin = this.#thinOf(segment, index)
      const found = thin && this.#ownBetween(index, thin, await read(thin.place(index)))
      if (found !== undefined) return found
      while (!reaches(segment, index)) await this.#ensureOffsets(segment, index)
      this.#touchTable(segment)
      return this.#own(segment, index, await read(this.#placeOf(segment, index)))
    } catch (error) {
      if (await this.state.recheck?.(error, segment, attempt)) return this.get(index, attempt + 1)
      throw this.explain(error, segment, index)
    } finally {
      if (this.#scratches.length < MAX_SCRATCHES) this.#scratches.push(scratch)
    }
  }

  getSync(index: number): Entry<Buffer> {
    this.assertReadable(index)
    const recent = this.#getRecent(index)
    if (recent !== undefined) return recent
    const segment = this.segmentOf(index)
    try {
      return this.#files.usingSync(segment, file => {
        const thin = this.#thinOf(segment, index)
        const found = thin && this.#ownBetween(index, thin, readSync(file, thin.place(index)))
        if (found !== undefined) return found
        if (!reaches(segment, index)) driveSync(file, this.#walkOffsets(segment))
        this.#touchTable(segment)
        return this.#own(segment, index, readSync(file, this.#placeOf(segment, index)))
      })
    } catch (error) {
      throw this.explain(error, segment, index)
    }
  }

  /** The entry out of the last commits, as long as they are kept in memory for somebody who follows the log. */
  #getRecent(index: number): Entry<Buffer> | undefined {
    const piece = this.recent.find(index)
    if (piece === undefined) return undefined
    const from = index - piece.firstIndex
    const range = { from, to: from + 1, firstIndex: index }
    return withOwnData(this.state.format.materialize(piece.window, piece.found, range)[0]!)
  }

  /** Term of an accepted entry, which `pending` holds until it is committed; 0 of one that is not there. */
  termOf(index: number, pending: PendingCommit | undefined): number {
    if (index < this.state.firstIndex) return 0
    return pending === undefined ? this.getSync(index).term : pending.termOf(index, this.state.format)
  }

  segmentOf(index: number): Segment {
    const segment = findSegment(this.state.segments, index)
    if (segment !== undefined) return segment
    const gap = findGap(this.state.segments, index)
    if (gap === undefined) throw new Error(`No segment holds entry ${index}, which is within the log's range`)
    const { firstIndex, lastIndex } = gap
    const message = `Entries ${firstIndex} to ${lastIndex} were lost, and a repair left them out. Go on from ${lastIndex + 1}, or read with skipGaps.`
    const details = { kind: 'gap', segment: gap.segment.path, index, firstIndex, lastIndex } as const
    throw new WalError('WAL_CORRUPT', message, details)
  }

  /** A walk that begins at the commit which holds `index`. */
  async scanFrom(segment: Segment, index: number): Promise<ScanState> {
    if (index === segment.firstIndex) return startSegmentScan(this.state.format, segment)
    while (!reaches(segment, index)) await this.#ensureOffsets(segment, index)
    this.#touchTable(segment)
    return this.#scanAt(segment, segment.offsets!, index - segment.firstIndex)
  }

  /** A walk that begins at the commit which holds the entry in slot `at`. */
  #scanAt(segment: Segment, { slots }: EntryPositions, at: number): ScanState {
    let first = at
    while (slots[first]! >= 0) first--
    const { format } = this.state
    return startScan({
      binding: format.bind(segment.header),
      maxEntryBytes: segment.header.maxEntryBytes,
      offset: offsetAt(slots[first]!, format) - format.commitPrefixBytes,
      limit: segment.end.offset,
      index: segment.firstIndex + first,
      previousCrc: first === 0 ? (segment.header.predecessor?.commitCrc ?? 0) : undefined,
    })
  }

  readWindow(segment: Segment, request: WindowRequest): Promise<Piece['window']> {
    return this.#files.using(segment, file => readWindow(file, request))
  }

  /** What an error met while reading `index` means to the reader. */
  explain(error: unknown, segment: Segment, index: number): unknown {
    const { firstIndex, committedIndex } = this.state
    if (error instanceof ScanFailure) return scanError(error, index)
    if (error instanceof WalError) return error
    if (index < firstIndex) return truncatedBefore(index, firstIndex)
    if (index > committedIndex) return this.state.failure ?? truncatedAfter(index, committedIndex)
    // Of a follower that could not look again: the writer has removed it.
    if (isMissing(error) && this.state.recheck !== undefined) return truncatedBefore(index, segment.lastIndex + 1)
    if (isMissing(error)) {
      const message = `${segment.path} is gone, though the log was not told to remove it. Restore the file, or see repairWal.`
      const range = { firstIndex: segment.firstIndex, lastIndex: segment.lastIndex }
      return new WalError('WAL_CORRUPT', message, { kind: 'missing', cause: error, segment: segment.path, ...range })
    }
    return ioError('reading', segment.path, error)
  }

  /** Brings a segment's table up to its end. The table may be dropped, and the segment grow, before the caller looks again. */
  async #ensureOffsets(segment: Segment, index: number): Promise<void> {
    let building = this.#building.get(segment)
    if (building === undefined) {
      building = this.#files
        .using(segment, file => driveSharing(file, this.#walkOffsets(segment)))
        .finally(() => this.#building.delete(segment))
      this.#building.set(segment, building)
    }
    await building
    this.#touchTable(segment)
    const { offsets, firstIndex } = segment
    if (offsets !== undefined && index - firstIndex >= offsets.count) throw new ScanFailure(segment, { kind: 'end' })
  }

  /** Notes the use of a sealed segment's table; those unused for longest are thinned, then dropped, where they take too much memory together. */
  #touchTable(segment: Segment): void {
    this.#usesTables = true
    if (!segment.sealed || segment.offsets === undefined) return
    const isNew = segment.offsetsUse === 0
    if (isNew) this.#forgetTable(segment)
    segment.offsetsUse = ++this.#uses
    if (!isNew) return
    this.#tables.set(segment, segment.offsets.slots.byteLength)
    this.#tableBytes += segment.offsets.slots.byteLength
    while (this.#tableBytes > this.#maxTableBytes && this.#tables.size > 1) {
      const oldest = [...this.#tables.keys()].reduce((a, b) => (b.offsetsUse < a.offsetsUse ? b : a))
      this.#thinTable(oldest)
    }
    for (const oldest of this.#thinned.keys()) {
      if (this.#tableBytes <= this.#maxTableBytes) return
      this.#forgetTable(oldest) // Built again when somebody asks.
    }
  }

  #forgetTable(segment: Segment): void {
    segment.offsetsUse = 0
    this.#tableBytes -= (this.#tables.get(segment) ?? 0) + (this.#thinned.get(segment)?.bytes ?? 0)
    this.#tables.delete(segment)
    this.#thinned.delete(segment)
  }

  #thinTable(segment: Segment): void {
    const table = segment.offsets!
    segment.offsets = undefined
    this.#forgetTable(segment)
    // One that a follower built while the segment grew may not be whole.
    if (table.count !== segment.lastIndex - segment.firstIndex + 1) return
    const thin = new ThinOffsets(segment, table, this.state.format)
    this.#thinned.set(segment, thin)
    this.#tableBytes += thin.bytes
  }

  /** What is left of the table of a segment that has none. Noted as used. */
  #thinOf(segment: Segment, index: number): ThinOffsets | undefined {
    if (reaches(segment, index)) return undefined
    const thin = this.#thinned.get(segment)
    if (thin === undefined) return undefined
    this.#thinned.delete(segment)
    this.#thinned.set(segment, thin)
    return thin
  }

  /** The entry, if what was read leads to it; where it does not, reading all of the segment tells why. */
  #ownBetween(index: number, thin: ThinOffsets, window: Window): Entry<Buffer> | undefined {
    const position = thin.find(index, window)
    const entry = position === undefined ? undefined : this.state.format.readEntry(window, position, index)
    return entry && withOwnData(entry)
  }

  /**
   * A segment was sealed: from now on its table counts among those that may be dropped. It goes at once where nobody has looked for an
   * entry by index so far: most programs write, and read from a position on.
   */
  sealed(segment: Segment): void {
    if (this.#usesTables) this.#touchTable(segment)
    else segment.offsets = undefined
  }

  /**
   * Builds a segment's offset table, or brings it up to its end. An active segment grows meanwhile: goes on until it has caught up. The
   * writer adds to the table itself, so what is there by then is not added again.
   */
  *#walkOffsets(segment: Segment): Walk<void> {
    const known = segment.offsets
    const state =
      known === undefined || known.count === 0
        ? startSegmentScan(this.state.format, segment)
        : this.#scanAt(segment, known, known.count - 1)
    const before = state.index - segment.firstIndex
    const found = new EntryPositions(1024)
    while (state.offset < segment.end.offset) {
      state.limit = segment.end.offset
      yield* walkOffsets(this.state.format, segment, state, found)
    }
    const table = (segment.offsets ??= known ?? found)
    for (let i = table.count - before; i < found.count; i++) table.push(found.slots[i]!)
  }

  /** Where the bytes of an entry lie, as far as the table tells: up to the next entry's. */
  #placeOf(segment: Segment, index: number): WindowRequest {
    const { format } = this.state
    const { slots, count } = segment.offsets!
    const at = index - segment.firstIndex
    const offset = offsetAt(slots[at]!, format)
    const end = at + 1 < count ? offsetAt(slots[at + 1]!, format) : segment.end.offset
    return { offset, length: end - offset }
  }

  /** The entry that lies in the window, with data of its own. */
  #own(segment: Segment, index: number, window: Window): Entry<Buffer> {
    const entry = this.state.format.readEntry(window, 0, index)
    if (entry === undefined) {
      throw corrupt(segment, { index, offset: window.start, reason: `entry ${index} does not match its checksum` })
    }
    return withOwnData(entry)
  }
}

/** The entry, no longer with a view of memory that will be used again or is shared. */
function withOwnData(entry: Entry<Buffer>): Entry<Buffer> {
  entry.data = Buffer.from(entry.data)
  return entry
}

/** Reads into the memory that all blocking gets share. */
function readSync(file: File, place: WindowRequest): Window {
  const window = syncScratch.open(place)
  window.length = readFullySync(file, window.bytes, window.length, window.start)
  return window
}

/** Whether the offset table says where an entry lies and where it ends. */
function reaches({ offsets, firstIndex, end }: Segment, index: number): boolean {
  if (offsets === undefined) return false
  const at = index - firstIndex
  return at + 1 < offsets.count || (at < offsets.count && index === end.lastIndex)
}

function offsetAt(slot: number, format: Format): number {
  return (slot & POSITION_MASK) * format.alignment
}

export function scanError(failure: ScanFailure, index: number): WalError {
  const { segment, stop } = failure
  if (stop.kind === 'unsupported') {
    const message = `${segment.path} holds an entry of a later version of walrus-wal at offset ${stop.offset}. Update the package.`
    return new WalError('WAL_UNSUPPORTED_VERSION', message, { segment: segment.path, offset: stop.offset, index })
  }
  const offset = stop.kind === 'bad' ? stop.offset : segment.end.offset
  const reason = stop.kind === 'bad' ? stop.reason : 'the file ends before its content does'
  return corrupt(segment, { index, offset, reason })
}

function corrupt(segment: Segment, at: { index: number; offset: number; reason: string }): WalError {
  const { path, lastIndex } = segment
  const message = `${path}: ${at.reason} at offset ${at.offset}. Entries ${at.index} to ${lastIndex} of this segment cannot be trusted; restore the file, or see verifyWal and repairWal.`
  const range = { firstIndex: at.index, lastIndex }
  return new WalError('WAL_CORRUPT', message, {
    kind: 'corrupt',
    segment: path,
    offset: at.offset,
    index: at.index,
    ...range,
  })
}

export function truncatedBefore(index: number, firstIndex: number): WalError {
  const message = `Entry ${index} was removed; the first one kept is ${firstIndex}.`
  return new WalError('WAL_TRUNCATED', message, { lost: 'before', index, firstIndex: index, lastIndex: firstIndex - 1 })
}

/** It was there when the reading began. */
function truncatedAfter(index: number, lastIndex: number): WalError {
  const message = `Entry ${index} was removed by truncateAfter or reset; the last one now is ${lastIndex}.`
  return new WalError('WAL_TRUNCATED', message, { lost: 'after', index, firstIndex: lastIndex + 1, lastIndex: index })
}

function outOfRange(message: string, range: { index: number; firstIndex: number; lastIndex: number }): WalError {
  return new WalError('WAL_INDEX_OUT_OF_RANGE', message, range)
}
