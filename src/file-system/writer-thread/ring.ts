import { toBlockEnd } from '../block.js'

/**
 * Room in a run of memory that begins at a block, handed out in pieces that do too, and given back in the order in which they were
 * taken.
 */
export class Ring {
  readonly #bytes: number
  /** Where the pieces that are out begin, the oldest first. */
  readonly #starts: number[] = []
  /** Behind the newest piece. */
  #end = 0

  /** `bytes`: whole blocks. */
  constructor(bytes: number) {
    this.#bytes = bytes
  }

  /** Where a piece of `length` bytes, at most the whole, begins; undefined until there is room for it. */
  take(length: number): number | undefined {
    const size = toBlockEnd(Math.max(1, length))
    const start = this.#place(size)
    if (start === undefined) return undefined
    this.#starts.push(start)
    this.#end = start + size
    return start
  }

  /** Gives the oldest piece back. */
  give(): void {
    this.#starts.shift()
  }

  #place(size: number): number | undefined {
    const oldest = this.#starts[0]
    // One piece after the other is what there mostly is: it stays in the same blocks.
    if (oldest === undefined) return 0
    const isWrapped = this.#end <= oldest
    if (isWrapped) return this.#end + size <= oldest ? this.#end : undefined
    if (this.#end + size <= this.#bytes) return this.#end
    return size <= oldest ? 0 : undefined
  }
}
