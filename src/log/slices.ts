import type { Format } from '../codec/format.js'
import { ENDS_BATCH, POSITION_MASK } from '../codec/memory.js'
import { WINDOW_BYTES } from '../segments/window.js'
import type { Entry } from '../types.js'
import type { Piece } from './recent.js'

/** Chunks are as large as what is read at a time, unless the reader asks for less. */
const CHUNK_BYTES = WINDOW_BYTES
/** What a chunk holds where batches leave the choice. */
const WANTED_CHUNK_BYTES = 128 << 10

/** What a reader wants at most at a time; undefined where it leaves that open. */
export interface SliceLimits {
  readonly maxBytes: number | undefined
  readonly maxEntries: number | undefined
}

/** What a reader may have of a piece: the entries in the slots from `from` up to `available`, as far as one chunk goes. */
export interface SliceRange extends SliceLimits {
  readonly from: number
  readonly available: number
}

/**
 * Cuts pieces into chunks. Readers that follow a log together get the same parts of its commits one after the other, so the last
 * part is kept: its end is found once, and its entries are read from their bytes once and frozen. Those who only want to read get
 * these very entries, the others get copies; the array is always the reader's own (one that is frozen takes twice as long to walk).
 */
export class Slices {
  readonly #format: Format
  #piece: Piece | undefined
  #range: SliceRange = { from: 0, available: 0, maxBytes: undefined, maxEntries: undefined }
  #entries: readonly Entry<Buffer>[] = []

  constructor(format: Format) {
    this.#format = format
  }

  /** The next entries, which others may be handed too: frozen. */
  shared(piece: Piece, range: SliceRange): Entry<Buffer>[] {
    if (!piece.isShared) return freezeAll(this.#materialize(piece, range))
    return this.#common(piece, range).slice()
  }

  /** The next entries, for the caller alone. `isOneOfMany`: others are likely to want the same. */
  own(piece: Piece, range: SliceRange, isOneOfMany: boolean): Entry<Buffer>[] {
    if (piece.isShared && isOneOfMany) return copyAll(this.#common(piece, range))
    return this.#materialize(piece, range)
  }

  #common(piece: Piece, range: SliceRange): readonly Entry<Buffer>[] {
    if (piece !== this.#piece || !isSame(range, this.#range)) {
      this.#entries = freezeAll(this.#materialize(piece, range))
      this.#piece = piece
      this.#range = range
    }
    return this.#entries
  }

  /** Forgets what it keeps. */
  clear(): void {
    this.#piece = undefined
    this.#entries = []
  }

  #materialize(piece: Piece, range: SliceRange): Entry<Buffer>[] {
    const { from } = range
    const to = sliceEnd(piece, range)
    return this.#format.materialize(piece.window, piece.found, { from, to, firstIndex: piece.firstIndex + from })
  }
}

function isSame(a: SliceRange, b: SliceRange): boolean {
  return a.from === b.from && a.available === b.available && a.maxBytes === b.maxBytes && a.maxEntries === b.maxEntries
}

function freezeAll(entries: Entry<Buffer>[]): Entry<Buffer>[] {
  for (const entry of entries) Object.freeze(entry)
  return entries
}

function copyAll(entries: readonly Entry<Buffer>[]): Entry<Buffer>[] {
  const copies = new Array<Entry<Buffer>>(entries.length)
  for (let i = 0; i < copies.length; i++) {
    const { index, term, timestamp, data, checksum, transactionId } = entries[i]!
    const copy: Entry<Buffer> = { index, term, timestamp, data, checksum }
    if (transactionId !== undefined) copy.transactionId = transactionId
    copies[i] = copy
  }
  return copies
}

/**
 * Where the next chunk ends: with a batch. Chunks are kept small, because the entries of a large one outlive the collector's
 * young generation; a batch may take as much as the reader allows, and only one that is larger is cut.
 */
function sliceEnd(piece: Piece, { from, available, ...limits }: SliceRange): number {
  const maxBytes = limits.maxBytes ?? CHUNK_BYTES
  const wantedBytes = Math.min(maxBytes, WANTED_CHUNK_BYTES)
  const maxEntries = limits.maxEntries ?? Infinity
  const { slots, count } = piece.found
  const start = slots[from]! & POSITION_MASK
  const near = lastBelow(piece, start + wantedBytes, { from, to: Math.min(available, from + maxEntries) })
  let batchEnd = near
  while (batchEnd > from && (slots[batchEnd - 1]! & ENDS_BATCH) === 0) batchEnd--
  for (let to = near + 1; to <= available; to++) {
    const bytes = (to < count ? slots[to]! & POSITION_MASK : piece.window.length) - start
    const isOver = to - from > maxEntries || bytes > maxBytes
    if (batchEnd > from && (isOver || bytes > wantedBytes)) return batchEnd
    if (isOver) return Math.max(from + 1, to - 1)
    if ((slots[to - 1]! & ENDS_BATCH) !== 0) batchEnd = to
  }
  return available
}

/** The last of the slots [from, to] before whose entry no more than `end` bytes of the window lie. */
function lastBelow({ window, found }: Piece, end: number, { from, to }: { from: number; to: number }): number {
  if (to === found.count && window.length <= end) return to
  let low = from
  let high = Math.min(to, found.count - 1)
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((found.slots[middle]! & POSITION_MASK) <= end) low = middle
    else high = middle - 1
  }
  return low
}
