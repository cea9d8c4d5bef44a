import type { File, FileSystem } from '../../src/file-system/types.js'

interface Read {
  position: number
  length: number
}

/** A file system whose reads of segment files are noted, and can be held up. Those by blocking calls are not. */
export class WatchedReads {
  readonly fileSystem: FileSystem
  reads: Read[] = []
  /** Reads that were asked for and have not been answered. */
  pending = 0
  #gate: Promise<void> | undefined
  #open: (() => void) | undefined

  constructor(fs: FileSystem) {
    const open = async (...given: Parameters<FileSystem['open']>) => {
      const file = await fs.open(...given)
      return given[0].endsWith('.wal') ? this.#watch(file) : file
    }
    this.fileSystem = withOwn(fs, { open })
  }

  get bytes(): number {
    return this.reads.reduce((sum, { length }) => sum + length, 0)
  }

  /** From now on reads wait. */
  hold(): void {
    this.#gate = new Promise(resolve => {
      this.#open = resolve
    })
  }

  release(): void {
    this.#open?.()
    this.#gate = undefined
  }

  #watch(file: File): File {
    const read = async (...given: Parameters<File['read']>) => {
      this.reads.push({ position: given[3], length: given[2] })
      this.pending++
      try {
        await this.#gate
        return await file.read(...given)
      } finally {
        this.pending--
      }
    }
    return withOwn(file, { read })
  }
}

function withOwn<T extends object>(target: T, own: Partial<T>): T {
  return new Proxy(target, {
    get(_, key) {
      const value = own[key as keyof T] ?? target[key as keyof T]
      return typeof value === 'function' && !(key in own) ? value.bind(target) : value
    },
  })
}
