import { isOutOfDescriptors } from '../file-system/errno.js'
import type { File, FileSystem } from '../file-system/types.js'
import { DirectFile } from '../segments/direct-file.js'
import type { Segment } from '../segments/segment.js'

/** How many files nobody reads just now stay open for the next reader: with segments of 64 MiB, those of 8 GiB. */
const MAX_IDLE = 128

interface Shared {
  path: string
  opening: Promise<File>
  /** Set once it is open. */
  file: File | undefined
  users: number
}

/**
 * Files open for reading, shared by all readers of a log: a thousand cursors in one segment use one descriptor, and a segment
 * that is removed stays readable for whoever is in the middle of it.
 */
export class SegmentFiles {
  readonly #fs: FileSystem
  /** By path, in the order of last use. */
  readonly #shared = new Map<string, Shared>()
  /** Paths that are read around the page cache. */
  readonly #direct = new Set<string>()
  #closed = false

  constructor(fs: FileSystem) {
    this.#fs = fs
  }

  /** From now on the segment is read around the page cache where that can be had. */
  readDirectly(segment: Segment): void {
    this.#direct.add(segment.path)
    this.forget(segment)
  }

  /** Runs `read` with the segment's file open. */
  async using<R>(segment: Segment, read: (file: File) => Promise<R>): Promise<R> {
    const shared = this.#acquire(segment.path)
    shared.users++
    try {
      return await read(await shared.opening)
    } finally {
      shared.users--
      this.#trim(shared)
    }
  }

  /** As `using`, blocking. */
  usingSync<R>(segment: Segment, read: (file: File) => R): R {
    let shared = this.#shared.get(segment.path)
    if (shared?.file === undefined) {
      const file = this.#openSync(segment.path)
      shared = { path: segment.path, opening: Promise.resolve(file), file, users: 0 }
      this.#shared.set(segment.path, shared)
    }
    const result = read(shared.file!)
    this.#trim(shared)
    return result
  }

  /** Forgets a removed segment; its file closes once nobody reads it any more. */
  forget(segment: Segment): void {
    const shared = this.#shared.get(segment.path)
    if (shared === undefined) return
    this.#shared.delete(segment.path)
    this.#trim(shared)
  }

  /** Closes what is not in use; what is closes with its last user. */
  close(): void {
    this.#closed = true
    for (const shared of [...this.#shared.values()]) {
      this.#shared.delete(shared.path)
      this.#trim(shared)
    }
  }

  #acquire(path: string): Shared {
    const known = this.#shared.get(path)
    if (known !== undefined) {
      this.#shared.delete(path)
      this.#shared.set(path, known)
      return known
    }
    const shared: Shared = { path, opening: this.#open(path), file: undefined, users: 0 }
    this.#shared.set(path, shared)
    shared.opening.then(
      file => {
        shared.file = file
      },
      () => this.#drop(shared), // Whoever asked gets the error; the next one tries anew.
    )
    return shared
  }

  /** Out of descriptors, those that are only kept for later go first. */
  async #open(path: string): Promise<File> {
    if (this.#direct.has(path)) return DirectFile.open(this.#fs, path)
    try {
      return await this.#fs.open(path, 'read')
    } catch (error) {
      if (!isOutOfDescriptors(error)) throw error
      this.#closeIdle(0)
      return this.#fs.open(path, 'read')
    }
  }

  #openSync(path: string): File {
    try {
      return this.#fs.openSync(path)
    } catch (error) {
      if (!isOutOfDescriptors(error)) throw error
      this.#closeIdle(0)
      return this.#fs.openSync(path)
    }
  }

  #drop(shared: Shared): void {
    if (this.#shared.get(shared.path) === shared) this.#shared.delete(shared.path)
  }

  /** Closes `used` if it was forgotten meanwhile, and the longest unused files above the limit. */
  #trim(used: Shared): void {
    if (used.users === 0 && (this.#closed || this.#shared.get(used.path) !== used)) this.#close(used)
    if (this.#shared.size > MAX_IDLE) this.#closeIdle(MAX_IDLE)
  }

  #closeIdle(keep: number): void {
    for (const shared of this.#shared.values()) {
      if (this.#shared.size <= keep) return
      if (shared.users === 0 && shared.file !== undefined) this.#close(shared)
    }
  }

  #close(shared: Shared): void {
    this.#drop(shared)
    // Nothing was written through it, so there is nothing that a failing close could lose.
    if (shared.file !== undefined) shared.file.closeSync()
    else shared.opening.then(file => file.close()).catch(() => undefined)
  }
}
