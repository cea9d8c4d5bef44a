import type { Format } from '../codec/format.js'
import { type EntryPositions, POSITION_MASK, type Window } from '../codec/memory.js'
import type { Segment } from '../segments/segment.js'
import type { WindowRequest } from '../segments/window.js'

/** How far apart the entries are, in bytes, that a thinned table knows: what a read costs more is little, and the table a part of itself. */
const APART_BYTES = 4096

/**
 * What is left of a sealed segment's offset table when there is no room for all of it: where every so many-th entry lies. Those between
 * are found by walking from one to the next, so a log of a thousand times the memory can be read anywhere at much the same cost.
 */
export class ThinOffsets {
  readonly #slots: Int32Array
  readonly #stride: number
  readonly #segment: Segment
  readonly #format: Format
  readonly #binding: number

  /** `table`: of the whole segment. */
  constructor(segment: Segment, table: EntryPositions, format: Format) {
    this.#segment = segment
    this.#format = format
    this.#binding = format.bind(segment.header)
    const entryBytes = (segment.end.offset - segment.contentStart) / table.count
    this.#stride = Math.max(1, Math.floor(APART_BYTES / entryBytes))
    this.#slots = new Int32Array(Math.ceil(table.count / this.#stride))
    for (let i = 0; i < this.#slots.length; i++) this.#slots[i] = table.slots[i * this.#stride]! & POSITION_MASK
  }

  get bytes(): number {
    return this.#slots.byteLength
  }

  /** What has to be read to find the entry at `index`: from a known one at or before it to the next known one. */
  place(index: number): WindowRequest {
    const { alignment } = this.#format
    const { firstIndex, end } = this.#segment
    const at = Math.floor((index - firstIndex) / this.#stride)
    const offset = this.#slots[at]! * alignment
    const next = this.#slots[at + 1]
    return { offset, length: (next === undefined ? end.offset : next * alignment) - offset }
  }

  /**
   * Position of the entry at `index` in what `place` asked for; undefined where the bytes on the way do not look like entries. What is
   * passed on the way is not verified: whether it is the right entry is for the reader to check, as always.
   */
  find(index: number, window: Window): number | undefined {
    const format = this.#format
    let position = 0
    for (let left = (index - this.#segment.firstIndex) % this.#stride; left > 0; left--) {
      const span = format.entrySpan(window, position)
      if (span === undefined || position + span >= window.length) return undefined
      position += span
      // Between the last entry of a commit and the first of the next lies the frame of that one.
      if (format.commitPrefixBytes > 0 && format.probeCommit(window, position, this.#binding) !== undefined)
        position += format.commitPrefixBytes
    }
    return position
  }
}
