import type { File, FileSystem } from '../file-system/types.js'
import { ContentReader } from './content-reader.js'
import type { Walk } from './window.js'

/**
 * A file that is read around the page cache, where the file system lets it: for content that was not as it should be when it came
 * from the cache. Slow, and not for write.
 */
export class DirectFile implements File {
  readonly path: string
  readonly #fs: FileSystem
  readonly #file: File

  private constructor(fs: FileSystem, file: File) {
    this.path = file.path
    this.#fs = fs
    this.#file = file
  }

  static async open(fs: FileSystem, path: string): Promise<DirectFile> {
    return new DirectFile(fs, await fs.open(path, 'read'))
  }

  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return new ContentReader(this.#fs).drive(this.path, readInto(buffer, { offset, length, position }))
  }

  /** Through the cache: what blocks cannot open a file in another way. */
  readSync(buffer: Uint8Array, offset: number, length: number, position: number): number {
    return this.#file.readSync(buffer, offset, length, position)
  }

  size(): Promise<number> {
    return this.#file.size()
  }

  sizeSync(): number {
    return this.#file.sizeSync()
  }

  write(): Promise<number> {
    return Promise.reject(new Error(`${this.path} is open for reading`))
  }

  truncate(): Promise<void> {
    return Promise.reject(new Error(`${this.path} is open for reading`))
  }

  sync(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  closeSync(): void {
    this.#file.closeSync()
  }
}

function* readInto(
  buffer: Uint8Array,
  { offset, length, position }: { offset: number; length: number; position: number },
): Walk<number> {
  const window = yield { offset: position, length }
  buffer.set(window.bytes.subarray(0, window.length), offset)
  return window.length
}
