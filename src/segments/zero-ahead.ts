import { BLOCK_BYTES, toBlockEnd } from '../file-system/block.js'
import { writeAllFully } from '../file-system/transfer.js'
import type { File } from '../file-system/types.js'
import { withBounceBuffer } from './bounce.js'

/** When zeros are written ahead of the content, and how many. */
export interface ZeroAheadPolicy {
  /** Not before small commits have brought this many bytes to the segment. */
  afterBytes: number
  /** As many as small commits have brought, at most this many at a time. */
  maxBytes: number
}

/** The policy with the size that the segment will not exceed by much. */
export type ZeroAheadPlan = ZeroAheadPolicy & { segmentMaxBytes: number }

/** Larger commits gain nothing: what extending the file costs is little beside writing them. */
const SMALL_COMMIT_BYTES = 128 * 1024

/**
 * Keeps zeros behind the end of a segment that is written directly in small commits. Each write that extends a file makes the file
 * system write its own journal too before it is durable; writing over zeros that are there does not. Zeros are no evidence of
 * anything, and never decode as anything: to fail at writing them harms nobody. A log of few entries holds few zeros.
 */
export class ZeroAhead {
  readonly #file: File
  readonly #plan: ZeroAheadPlan
  /** The file holds content or zeros up to this block. */
  #end: number
  #smallBytes = 0
  #gaveUp = false

  /** `end`: where the content ends. */
  constructor(file: File, plan: ZeroAheadPlan, end: number) {
    this.#file = file
    this.#plan = plan
    this.#end = toBlockEnd(end)
  }

  /** Call before a commit is written to [from, to). */
  async prepare(from: number, to: number): Promise<void> {
    const isSmall = to - from < SMALL_COMMIT_BYTES
    if (isSmall) this.#smallBytes += to - from
    if (to <= this.#end) return
    const bytes = isSmall && this.#smallBytes >= this.#plan.afterBytes ? this.#stepBytes() : 0
    if (bytes > 0) await this.#extend(bytes)
    this.#end = Math.max(this.#end, toBlockEnd(to))
  }

  /** Whether the file reaches beyond the block in which the content ends. */
  reachesBeyond(contentEnd: number): boolean {
    return this.#end > toBlockEnd(contentEnd)
  }

  /** The file was cut to `length`. */
  wasCut(length: number): void {
    this.#end = toBlockEnd(length)
  }

  #stepBytes(): number {
    if (this.#gaveUp) return 0
    const bytes = Math.min(this.#smallBytes, this.#plan.maxBytes, this.#plan.segmentMaxBytes - this.#end)
    return bytes - (bytes % BLOCK_BYTES)
  }

  async #extend(bytes: number): Promise<void> {
    try {
      await withBounceBuffer(zeros => {
        zeros.fill(0, 0, bytes)
        const pieces: Uint8Array[] = []
        for (let left = bytes; left > 0; left -= zeros.length)
          pieces.push(zeros.subarray(0, Math.min(left, zeros.length)))
        return writeAllFully(this.#file, pieces, this.#end)
      })
      this.#end += bytes
    } catch {
      // A full disk: what zeros have taken of it others may need. Whatever else it was, the commit will meet it too.
      this.#gaveUp = true
      await this.#file.truncate(this.#end).catch(() => undefined)
    }
  }
}
