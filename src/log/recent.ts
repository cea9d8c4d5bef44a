import { allocateMemory, type EntryPositions, type Window } from '../codec/memory.js'
import type { PendingCommit } from './pending-commit.js'

/** Verified entries in memory: what a cursor walks, whether it came from a file or from the last commits. */
export interface Piece {
  window: Window
  found: EntryPositions
  /** Index of the entry in the first slot. */
  firstIndex: number
  /** Of the last commits, and so in the hands of all who follow. */
  isShared?: boolean
}

export function lastIndexOf(piece: Piece): number {
  return piece.firstIndex + piece.found.count - 1
}

/** A commit in memory of its own: that which it was laid out in is used again. `start`: its offset in the file. */
export function pieceOf(
  { memory, start: at, offsets, firstIndex }: PendingCommit,
  start: number,
  length: number,
): Piece {
  const own = allocateMemory(length)
  own.bytes.set(memory.bytes.subarray(at, at + length))
  return { window: { ...own, start, length }, found: offsets.compact(at), firstIndex, isShared: true }
}

/** However small they are: a piece takes about a kilobyte beside its bytes. */
const MAX_PIECES = 4096

/**
 * The last commits, kept in memory for the cursors that follow the log: each is copied once and handed to all of them. A cursor
 * that is too slow for this reads the file instead.
 */
export class RecentCommits {
  readonly #maxBytes: number
  #pieces: (Piece | undefined)[] = []
  /** Pieces before this one are gone, their places empty; the array is cut only now and then. */
  #head = 0
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** What is not below `awaited` stays, though it is more than there should be: somebody is about to read it. */
  add(piece: Piece, awaited = Infinity): void {
    const previous = this.#pieces.at(-1)
    if (previous !== undefined && lastIndexOf(previous) + 1 !== piece.firstIndex) this.clear()
    this.#pieces.push(piece)
    this.#bytes += piece.window.length
    while (this.#isFull() && lastIndexOf(this.#pieces[this.#head]!) < awaited) this.#dropFirst()
    if (this.#head > 1024) {
      this.#pieces = this.#pieces.slice(this.#head)
      this.#head = 0
    }
  }

  /** Forgets the pieces that lie wholly below `index`. */
  dropBelow(index: number): void {
    while (this.#head < this.#pieces.length && lastIndexOf(this.#pieces[this.#head]!) < index) this.#dropFirst()
  }

  #dropFirst(): void {
    this.#bytes -= this.#pieces[this.#head]!.window.length
    this.#pieces[this.#head++] = undefined
  }

  /** The newest piece stays, however large it is. */
  #isFull(): boolean {
    const count = this.#pieces.length - this.#head
    return count > 1 && (this.#bytes > this.#maxBytes || count > MAX_PIECES)
  }

  /** The piece that holds `index`, if it is still here. */
  find(index: number): Piece | undefined {
    const pieces = this.#pieces
    let low = this.#head
    let high = pieces.length - 1
    if (low > high || index < pieces[low]!.firstIndex || index > lastIndexOf(pieces[high]!)) return undefined
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (pieces[middle]!.firstIndex <= index) low = middle
      else high = middle - 1
    }
    return pieces[low]
  }

  clear(): void {
    this.#pieces = []
    this.#head = 0
    this.#bytes = 0
  }
}
