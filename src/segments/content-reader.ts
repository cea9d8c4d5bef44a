import { type Memory, viewMemory, type Window } from '../codec/memory.js'
import { BLOCK_BYTES, toBlockEnd } from '../file-system/block.js'
import type { File, FileSystem } from '../file-system/types.js'
import { type Walk, WINDOW_BYTES, type WindowRequest } from './window.js'

/** What every disk in use accepts as alignment of address, length and position of direct I/O. */
const WASM_PAGE_BYTES = 65536
const EINVAL = 'EINVAL'

/**
 * Reads segment files around the page cache where the file system lets it, because the cache may show what never reached the
 * disk. One window at a time: the memory is reused, so a window is good until the next one is read.
 */
export class ContentReader {
  readonly #fs: FileSystem
  readonly #onRead: ((window: Window) => void) | undefined
  #memory: Memory = alignedMemory(WINDOW_BYTES + 2 * BLOCK_BYTES)
  /** Whether anything was read through the page cache. */
  throughPageCache = false
  bytesRead = 0

  /** `onRead` is called with every window; what it throws ends the walk. */
  constructor(fs: FileSystem, onRead?: (window: Window) => void) {
    this.#fs = fs
    this.#onRead = onRead
  }

  /**
   * Drives a walk over the file at `path`. Errors are those of the file system. `between` is awaited after each step, while the
   * window that the walk was given is still good.
   */
  async drive<Result>(path: string, walk: Walk<Result>, between?: () => Promise<void>): Promise<Result> {
    let source = await this.#open(path)
    try {
      let step = walk.next()
      while (!step.done) {
        const window = await this.#read(source, step.value).catch(async error => {
          if (!source.direct || error.code !== EINVAL) throw error
          // Opening directly was accepted, reading is not: larger sectors, or a file system that only seems to know it.
          await source.file.close()
          source = { file: await this.#fs.open(path, 'read'), direct: false }
          return this.#read(source, (step as { value: WindowRequest }).value)
        })
        this.bytesRead += window.length
        this.#onRead?.(window)
        step = walk.next(window)
        await between?.()
      }
      return step.value
    } finally {
      await source.file.close()
    }
  }

  async #open(path: string): Promise<Source> {
    try {
      return { file: await this.#fs.open(path, 'read', { direct: true }), direct: true }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== EINVAL) throw error
      return { file: await this.#fs.open(path, 'read'), direct: false }
    }
  }

  async #read({ file, direct }: Source, { offset, length }: WindowRequest): Promise<Window> {
    const skip = direct ? offset % BLOCK_BYTES : 0
    const span = direct ? toBlockEnd(skip + length) : length
    if (span > this.#memory.bytes.length) this.#memory = alignedMemory(span)
    const { bytes } = this.#memory
    let done = 0
    while (done < span) {
      const count = await file.read(bytes, done, span - done, offset - skip + done)
      done += count
      // A direct read that ends within a block has reached the end of the file; going on from there would not be aligned.
      if (count === 0 || (direct && done % BLOCK_BYTES !== 0)) break
    }
    if (!direct) this.throughPageCache = true
    if (skip > 0) bytes.copyWithin(0, skip, done)
    return { ...this.#memory, start: offset, length: Math.max(0, Math.min(length, done - skip)) }
  }
}

interface Source {
  file: File
  direct: boolean
}

/** Memory at a page boundary: the memory of a WebAssembly instance is, and a Buffer is not. */
function alignedMemory(size: number): Memory {
  const pages = Math.ceil(size / WASM_PAGE_BYTES)
  return viewMemory(Buffer.from(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer))
}

/** TypeScript declares this one for browsers only. */
declare const WebAssembly: { Memory: new (size: { initial: number; maximum: number }) => { buffer: ArrayBuffer } }
