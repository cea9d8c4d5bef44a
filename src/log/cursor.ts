import { EntryPositions, rewindToBatch, type ScanState } from '../codec/memory.js'
import type { CursorOptions, LogCursor } from '../contract.js'
import { WalError } from '../errors.js'
import { assertEndsAsNamed, ScanFailure } from '../segments/scan.js'
import { findGap, type Segment } from '../segments/segment.js'
import { WINDOW_BYTES } from '../segments/window.js'
import type { Chunk, Entry } from '../types.js'
import { type ReadSide, truncatedBefore } from './read-side.js'
import { lastIndexOf, type Piece } from './recent.js'
import type { SliceLimits, SliceRange } from './slices.js'
import type { TurnTaker } from './turns.js'
import { WindowReader } from './window-reader.js'

/** Cursors that follow are many and read little: each has a window of its own while it is behind. */
const LIVE_WINDOW_BYTES = 256 << 10

/** What `next()` gets when there is something to wait for: a read that is under way, or the next change of the log. */
const LATER = Symbol('later')

/**
 * The one cursor state machine: entries from files while it is behind, from memory once it follows, the same way in both. It
 * stands at an index; what it holds beside that only saves work. It moves when it has its turn, after `next()` was called.
 */
export class FileCursor<T> implements LogCursor<T>, TurnTaker {
  readonly #side: ReadSide
  readonly #options: CursorOptions<T>
  readonly #decode: CursorStart<T>['decode']
  readonly #onClose: (cursor: FileCursor<T>) => void
  readonly #windowBytes: number
  /** How much it reads at a time unless a batch needs more. */
  readonly #usualBytes: number
  readonly #limits: SliceLimits
  /** Last index it may hand out. */
  readonly #to: number
  #next: number
  /** The log's first entry, whichever that is when it begins to read. */
  #floating: boolean
  /** Set while a `{ timestamp }` has to be found first. */
  #seek: { timestamp: number; upTo: number } | undefined
  #piece: Piece | undefined
  readonly #reader: WindowReader
  /** Set once it has handed out a chunk. */
  #isUnderWay = false
  /** Slot of the piece that comes next. */
  #slot = 0
  /** Slots of the piece that belonged to the log when it was taken: what was cut off stays in its file. */
  #usable = 0
  /** How often the log was cut: a read that was under way meanwhile is stale. */
  #cuts = 0
  /** Where the file of `#segment` is read on, if the last piece came from there. */
  #scan: ScanState | undefined
  #segment: Segment | undefined
  #caughtUp = false
  #isAtEnd = false
  #closed = false
  /** What every further `next()` gets. */
  #error: unknown
  #hasError = false
  /** Who waits for the next chunk; undefined when nobody does. */
  #resolve: ((chunk: Chunk<T> | undefined) => void) | undefined
  #reject: ((error: unknown) => void) | undefined
  /** Takes the wish to be told of the next change back. */
  #forgetWaiting: (() => void) | undefined
  /** How often in a row what it read was not as it should be. */
  #attempts = 0

  constructor(side: ReadSide, options: CursorOptions<T>, start: CursorStart<T>) {
    this.#side = side
    this.#reader = new WindowReader(side)
    this.#options = options
    this.#decode = start.decode
    this.#limits = { maxBytes: options.chunkMaxBytes, maxEntries: options.chunkMaxEntries }
    this.#onClose = start.onClose
    this.#next = start.index
    this.#floating = start.floating
    this.#seek = start.seek
    const last = options.to ?? Infinity
    // A batch that fits into a chunk must fit into what is read at a time, with the frame of its commit.
    const ownBytes = options.chunkMaxBytes ?? (options.live ? WINDOW_BYTES : 0)
    this.#windowBytes = Math.max(WINDOW_BYTES, ownBytes + side.state.format.commitPrefixBytes)
    this.#usualBytes = options.live ? Math.min(LIVE_WINDOW_BYTES, this.#windowBytes) : this.#windowBytes
    this.#to = options.live ? last : Math.min(last, start.committedIndex)
    if (options.live) side.liveCursors.add(this)
  }

  get nextIndex(): number {
    return this.#floating ? Math.max(this.#next, this.#side.state.firstIndex) : this.#next
  }

  get caughtUp(): boolean {
    return this.#caughtUp
  }

  /** It has read everything and waits for more. */
  get isAtEnd(): boolean {
    return this.#isAtEnd
  }

  next(): Promise<Chunk<T> | undefined> {
    this.#side.turns.ask(this)
    return new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  takeTurn(): void {
    if (this.#resolve === undefined) return
    this.#forgetWaiting?.()
    this.#forgetWaiting = undefined
    this.#isAtEnd = false
    try {
      const chunk = this.#advance()
      if (chunk === LATER) return
      const resolve = this.#resolve
      this.#resolve = this.#reject = undefined
      resolve(chunk)
    } catch (error) {
      this.#fail(error)
    }
  }

  close(reason?: unknown): void {
    if (this.#closed) return
    if (reason !== undefined) {
      this.#error = reason
      this.#hasError = true
    }
    this.#release()
  }

  /** The log now ends at `index` and has nothing above `kept` any more: a cursor that has handed out more cannot go on. */
  takenBack(index: number, kept: number): void {
    if (this.#closed) return
    this.forgetRead()
    if (this.#seek !== undefined) this.#seek.upTo = Math.min(this.#seek.upTo, index)
    if (this.#floating) {
      this.#next = Math.min(this.#next, index + 1)
      return
    }
    const lastIndex = this.#options.onTakenBack?.(kept, this.#next) ?? this.#next - 1
    if (lastIndex <= index) {
      this.#next = Math.min(this.#next, lastIndex + 1)
      return
    }
    const message = `This cursor has handed out entries up to ${lastIndex}; those above ${index} were removed.`
    this.#finish(new WalError('WAL_TRUNCATED', message, { lost: 'after', firstIndex: index + 1, lastIndex }))
  }

  /** What was read and not handed out yet may be of entries that are gone, and whose indexes others have by now. */
  forgetRead(): void {
    this.#cuts++
    this.#piece = undefined
    this.#scan = undefined
    this.#reader.forget()
  }

  #advance(): Chunk<T> | undefined | typeof LATER {
    for (;;) {
      if (this.#hasError) throw this.#error
      if (this.#closed) return undefined
      if (this.#seek !== undefined) return this.#afterwards(this.#find(this.#seek))
      if (this.#side.state.isClosed && !this.#options.live && this.#next <= this.#to) this.#failByClose()
      const ready = this.#fromPiece()
      if (ready !== undefined) return ready
      if (this.#next > this.#to) return this.#end()
      this.#settleStart()
      const { state } = this.#side
      if (this.#next <= state.committedIndex) {
        if (this.#takeRecent()) continue
        // Of a closed log only what is in memory can still be had: enough for a reader that kept up with it.
        return state.isClosed ? this.#end() : this.#afterwards(this.#load())
      }
      if (state.failure !== undefined) throw state.failure
      if (state.isClosed || !this.#options.live) return this.#end()
      this.#reachEnd()
      // What follows from the callback above may have happened already.
      if (!this.#closed && this.#next > state.committedIndex && !state.isClosed && state.failure === undefined)
        return this.#waitForMore()
    }
  }

  /** It goes on when `work` is done, in a turn of its own. */
  #afterwards(work: Promise<void>): typeof LATER {
    work.then(
      () => this.#side.turns.ask(this),
      error => this.#fail(error),
    )
    return LATER
  }

  #waitForMore(): typeof LATER {
    this.#isAtEnd = true
    this.#forgetWaiting = this.#side.onceChanged(this.#onChange)
    return LATER
  }

  readonly #onChange = () => {
    this.#forgetWaiting = undefined
    this.#side.turns.ask(this)
  }

  /** Fixes where `'start'` is, and fails when the next entry was removed. */
  #settleStart(): void {
    const { firstIndex } = this.#side.state
    if (this.#next >= firstIndex) return
    if (!this.#floating) throw truncatedBefore(this.#next, firstIndex)
    this.#next = firstIndex
  }

  #end(): undefined {
    if (this.#options.live) this.#reachEnd()
    this.#release()
    return undefined
  }

  #failByClose(): never {
    throw new WalError(
      'WAL_CLOSED',
      `The log in ${this.#side.state.directory} was closed before this reader had read ${this.#to}.`,
    )
  }

  // ---- what is in hand

  /** The next chunk of the piece in hand, as large as the reader may be given and ending with a batch where possible. */
  #fromPiece(): Chunk<T> | undefined {
    const piece = this.#piece
    if (piece === undefined) return undefined
    const available = Math.min(
      this.#usable,
      this.#to - piece.firstIndex + 1,
      this.#side.state.committedIndex - piece.firstIndex + 1,
    )
    if (this.#slot >= available) {
      this.#piece = undefined
      this.#reader.drop()
      return undefined
    }
    const chunk = this.#cut(piece, { from: this.#slot, available, ...this.#limits })
    this.#next = chunk.lastIndex + 1
    this.#slot = this.#next - piece.firstIndex
    this.#floating = false
    this.#readAhead(piece)
    if (this.#next > this.#side.state.committedIndex) this.#reachEnd()
    return chunk
  }

  #cut(piece: Piece, range: SliceRange): Chunk<T> {
    const { slices, liveCursors } = this.#side
    const { filter, copy, live, mayShare } = this.#options
    const firstIndex = piece.firstIndex + range.from
    if (this.#decode !== undefined || filter !== undefined || copy)
      return this.#prepare(slices.own(piece, range, live && liveCursors.size > 1), firstIndex)
    const entries =
      live && mayShare?.() ? slices.shared(piece, range) : slices.own(piece, range, live && liveCursors.size > 1)
    return asChunk(entries as unknown as Entry<T>[], firstIndex, firstIndex + entries.length - 1)
  }

  /** Decodes and filters. One that fails ends the chunk before it, so that it fails the next read and no other entry is missed. */
  #prepare(entries: Entry<Buffer>[], firstIndex: number): Chunk<T> {
    const { filter, copy } = this.#options
    const all = entries as unknown as Entry<T>[]
    const kept = filter === undefined ? all : []
    let lastIndex = firstIndex - 1
    try {
      for (const stored of entries) {
        if (copy) stored.data = Buffer.from(stored.data)
        const entry = stored as unknown as Entry<T>
        if (this.#decode !== undefined) entry.data = this.#decode(stored.data, stored.index)
        if (filter?.(entry)) kept.push(entry)
        lastIndex = stored.index
      }
    } catch (error) {
      if (lastIndex < firstIndex) throw error
      all.length = lastIndex - firstIndex + 1
    }
    return asChunk(kept, firstIndex, lastIndex)
  }

  // ---- getting more

  /** Reads the next piece; there is at least one committed entry ahead. */
  async #load(): Promise<void> {
    if (this.#caughtUp) this.#fallBehind()
    if (this.#options.skipGaps && this.#skipGap()) return
    const segment = this.#side.segmentOf(this.#next)
    const cuts = this.#cuts
    try {
      await this.#read(segment)
      this.#attempts = 0
    } catch (error) {
      this.#scan = undefined
      this.#reader.forget()
      // What it read may have been removed meanwhile, and is not what it will read next.
      if (cuts !== this.#cuts || (await this.#side.state.recheck?.(error, segment, ++this.#attempts))) return
      throw this.#side.explain(error, segment, this.#next)
    }
  }

  #skipGap(): boolean {
    const gap = findGap(this.#side.state.segments, this.#next)
    if (gap !== undefined) this.#next = gap.lastIndex + 1
    return gap !== undefined
  }

  #takeRecent(): boolean {
    const recent = this.#side.recent.find(this.#next)
    if (recent === undefined) return false
    this.#scan = undefined
    this.#reader.forget()
    this.#take(recent, lastIndexOf(recent))
    return true
  }

  async #read(segment: Segment): Promise<void> {
    const cuts = this.#cuts
    if (this.#segment !== segment || this.#scan === undefined || this.#scan.index > this.#next) {
      this.#segment = segment
      this.#scan = await this.#side.scanFrom(segment, this.#next)
    }
    const scan = this.#scan
    scan.limit = segment.end.offset
    const found = new EntryPositions()
    let wanted = this.#reader.grant(this.#usualBytes)
    while (found.count === 0 && !this.#closed) {
      const { offset } = scan
      if (offset >= scan.limit) throw new Error(`${segment.path} ends before entry ${this.#next}`)
      const request = { offset, length: Math.min(wanted, scan.limit - offset) }
      const { window, asked } = await this.#reader.read(segment, request)
      if (cuts !== this.#cuts) return
      const firstIndex = scan.index
      const before = { ...scan, batch: { ...scan.batch } }
      const stop = this.#side.state.format.scan(window, scan, found)
      if (stop.kind === 'more' && scan.remaining > 0 && scan.batch.found === 0 && wanted < this.#windowBytes) {
        // The batch at hand may still fit into a chunk: once more, with all of the window it may have.
        wanted = this.#windowBytes
        found.clear()
        Object.assign(scan, before)
        continue
      }
      if (stop.kind === 'bad' || stop.kind === 'unsupported') throw new ScanFailure(segment, stop)
      if (stop.kind === 'end') assertEndsAsNamed(segment, scan)
      // A batch that the window cuts in two is left for the next one, unless it fills this one alone.
      if (stop.kind === 'more' && scan.remaining > 0 && scan.batch.found > 0) rewindToBatch(scan, found)
      if (found.count > 0) this.#take({ window, found, firstIndex }, segment.lastIndex)
      else if (stop.kind === 'more') wanted = grow(wanted, stop.need, window.length < asked, segment)
    }
  }

  /** What comes behind the piece is read while the reader works on it: one who came back for a second chunk will for more. */
  #readAhead(piece: Piece): void {
    if (!this.#isUnderWay) this.#isUnderWay = true
    else if (!this.#options.live && this.#scan !== undefined && lastIndexOf(piece) < this.#to)
      this.#reader.readAhead(this.#segment!, this.#scan.offset, this.#windowBytes)
  }

  /** `lastIndex`: entries of the piece above it are not part of the log. */
  #take(piece: Piece, lastIndex: number): void {
    if (lastIndexOf(piece) < this.#next) return
    const last = Math.min(lastIndexOf(piece), lastIndex, this.#side.state.committedIndex)
    this.#piece = piece
    this.#usable = last - piece.firstIndex + 1
    this.#slot = Math.max(0, this.#next - piece.firstIndex)
  }

  #reachEnd(): void {
    if (this.#caughtUp) return
    this.#caughtUp = true
    this.#options.onCaughtUp?.(this.#next - 1)
  }

  #fallBehind(): void {
    this.#caughtUp = false
    this.#options.onFellBehind?.(this.#next - 1)
  }

  // ---- { timestamp }

  /** The lowest index whose timestamp is not below the one asked for: segments say their range, so only one is read through. */
  async #find(seek: { timestamp: number; upTo: number }): Promise<void> {
    const cuts = this.#cuts
    try {
      const index = await this.#findAmong(this.#side.state.segments, seek)
      // What was found may have been removed meanwhile: then it is the first index behind what is left.
      this.#next = Math.min(index ?? Infinity, seek.upTo + 1)
      this.#seek = undefined
    } catch (error) {
      const isGone = error instanceof WalError && error.code === 'WAL_TRUNCATED'
      const wasClosed = this.#side.state.isClosed && this.#options.live
      if (wasClosed) this.#release()
      else if (!isGone && cuts === this.#cuts) throw error
    }
  }

  async #findAmong(
    segments: readonly Segment[],
    seek: { timestamp: number; upTo: number },
  ): Promise<number | undefined> {
    for (const segment of segments) {
      if (segment.isEmpty || segment.firstIndex > seek.upTo || segment.end.maxTimestamp < seek.timestamp) continue
      const index = await this.#findIn(segment, seek)
      if (index !== undefined) return index
    }
    return undefined
  }

  async #findIn(
    segment: Segment,
    { timestamp, upTo }: { timestamp: number; upTo: number },
  ): Promise<number | undefined> {
    const from = Math.max(segment.firstIndex, this.#side.state.firstIndex)
    const walk = new FileCursor<Buffer>(
      this.#side,
      { live: false, to: Math.min(segment.lastIndex, upTo) },
      {
        index: from,
        floating: true,
        seek: undefined,
        committedIndex: upTo,
        decode: undefined,
        onClose: () => undefined,
      },
    )
    for (;;) {
      const chunk = await walk.next()
      if (chunk === undefined) return undefined
      const hit = chunk.find(entry => entry.timestamp >= timestamp)
      if (hit === undefined) continue
      walk.close()
      return hit.index
    }
  }

  // ---- the end

  #finish(error: unknown): void {
    this.#error = error
    this.#hasError = true
    this.#release()
  }

  #fail(error: unknown): void {
    this.#finish(error)
    const reject = this.#reject
    this.#resolve = this.#reject = undefined
    reject?.(error)
  }

  #release(): void {
    if (this.#closed) return
    this.#closed = true
    this.#piece = undefined
    this.#scan = undefined
    this.#reader.forget()
    if (this.#options.live) this.#side.leaveLive(this)
    this.#onClose(this)
    // Whoever waits for a change has nothing more to wait for.
    if (this.#forgetWaiting !== undefined) this.#side.turns.ask(this)
  }
}

export interface CursorStart<T> {
  /** First index to hand out, as of now. */
  index: number
  /** `'start'`: the log's first entry, also when that moves before the first read. */
  floating: boolean
  seek: { timestamp: number; upTo: number } | undefined
  committedIndex: number
  /** Undefined where the bytes are what is handed out. */
  decode: ((bytes: Buffer, index: number) => T) | undefined
  onClose: (cursor: FileCursor<T>) => void
}

/** How much to read when a window held no whole entry. A file that gives less than is written in it has been cut. */
function grow(wanted: number, need: number, isShort: boolean, segment: Segment): number {
  if (isShort) throw new ScanFailure(segment, { kind: 'more', need })
  return Math.max(wanted, need)
}

/** `lastIndex`: of the range it covers, which a filter may have left without entries. */
function asChunk<T>(entries: Entry<T>[], firstIndex: number, lastIndex: number): Chunk<T> {
  const chunk = entries as Entry<T>[] & { firstIndex: number; lastIndex: number }
  chunk.firstIndex = firstIndex
  chunk.lastIndex = lastIndex
  return chunk
}
