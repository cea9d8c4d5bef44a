import type { Window } from '../codec/memory.js'
import { findSegment, type Segment } from '../segments/segment.js'
import type { WindowRequest } from '../segments/window.js'
import type { ReadSide } from './read-side.js'

/** As long as all windows of a log take no more than this together, its cursors read as much at a time as they like, and ahead. */
const FULL_WINDOWS_BYTES = 32 << 20
/** What a cursor reads at a time above that, unless an entry or a batch needs more. */
const SMALL_WINDOW_BYTES = 64 << 10

/** The memory that all cursors of a log read into: what they have in hand, and what is on its way. */
export class WindowBudget {
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  add(bytes: number): void {
    this.#bytes += bytes
  }

  /** How much to read of the `wanted` bytes. */
  grant(wanted: number): number {
    return this.#bytes + wanted <= FULL_WINDOWS_BYTES ? wanted : Math.min(wanted, SMALL_WINDOW_BYTES)
  }
}

interface Ahead extends WindowRequest {
  segment: Segment
  window: Promise<Window>
}

/** Reads a segment's windows for one cursor, one of them ahead, while the cursor hands out the one before. */
export class WindowReader {
  readonly #side: ReadSide
  #ahead: Ahead | undefined
  /** Bytes of the window in hand. */
  #inHand = 0

  constructor(side: ReadSide) {
    this.#side = side
  }

  /** How much to read at a time, where `wanted` would be best. */
  grant(wanted: number): number {
    return this.#side.windows.grant(wanted)
  }

  /** The window asked for, or the one read ahead that begins there. `asked`: how much of the file was read for it. */
  async read(segment: Segment, request: WindowRequest): Promise<{ window: Window; asked: number }> {
    const ahead = this.#ahead
    const isIt = ahead?.segment === segment && ahead.offset === request.offset
    if (!isIt) this.forget()
    this.drop()
    this.#hold(isIt ? ahead.length : request.length)
    this.#forgetAhead()
    const window = await (isIt ? ahead.window : this.#side.readWindow(segment, request))
    return { window, asked: isIt ? ahead.length : request.length }
  }

  /** Begins to read what follows on `offset`, in the segment or the next one, unless that is under way or there is no room. */
  readAhead(segment: Segment, offset: number, wanted: number): void {
    if (this.#ahead !== undefined) return
    const isAtEnd = offset >= segment.end.offset
    const from = isAtEnd ? findSegment(this.#side.state.segments, segment.lastIndex + 1) : segment
    if (from === undefined) return
    const start = isAtEnd ? from.contentStart : offset
    const length = Math.min(wanted, from.end.offset - start)
    if (length <= 0 || this.grant(length) < length) return
    const window = this.#side.readWindow(from, { offset: start, length })
    // Whoever asks for the window gets the error; if nobody does, it does not matter.
    window.catch(() => undefined)
    this.#ahead = { segment: from, offset: start, length, window }
    this.#side.windows.add(length)
  }

  /** The window in hand is done with. */
  drop(): void {
    this.#hold(0)
  }

  /** What was read, and what is on its way, may be stale. */
  forget(): void {
    this.drop()
    this.#forgetAhead()
  }

  #hold(bytes: number): void {
    this.#side.windows.add(bytes - this.#inHand)
    this.#inHand = bytes
  }

  #forgetAhead(): void {
    if (this.#ahead === undefined) return
    this.#side.windows.add(-this.#ahead.length)
    this.#ahead = undefined
  }
}
