import { kernel } from '../codec/kernel.js'
import { allocateMemory, type Memory, type Window } from '../codec/memory.js'
import type { WindowRequest } from '../segments/window.js'

/** Most entries fit, and what a thinned table asks to be read; for what does not, memory is allocated and let go. */
const SCRATCH_BYTES = 8192

type MutableWindow = { -readonly [K in keyof Window]: Window[K] }

/** Memory for one entry at a time, reused from get to get: typed arrays cost more to make than an entry to read. */
export class Scratch {
  readonly #memory: Memory
  readonly #window: MutableWindow

  constructor(memory: Memory = allocateMemory(SCRATCH_BYTES)) {
    this.#memory = memory
    this.#window = { ...memory, start: 0, length: 0 }
  }

  /** A window to read the bytes into; valid until the next call. */
  open({ offset, length }: WindowRequest): MutableWindow {
    if (length > this.#memory.bytes.length) return { ...allocateMemory(length), start: offset, length }
    this.#window.start = offset
    this.#window.length = length
    return this.#window
  }
}

/** For blocking gets: nothing else runs between its opening and its last use, so one is enough, and the kernel's stage will do. */
export const syncScratch = new Scratch(kernel?.stage)
