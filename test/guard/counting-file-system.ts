import { nodeFileSystem } from '../../src/file-system/node.js'
import type { File, FileSystem } from '../../src/file-system/types.js'

/** The real file system, which counts what it is asked: each call by its name and the kind of file it concerns, `read segment`. */
export class CountingFileSystem {
  readonly fileSystem: FileSystem
  #calls = new Map<string, number>()
  #bytes = new Map<string, number>()

  constructor() {
    const count = (name: string, path: string) => this.#count(name, path)
    this.fileSystem = new Proxy(nodeFileSystem, {
      get: (fs, name: keyof FileSystem) => {
        const call = fs[name]
        if (typeof call !== 'function') return call
        return (...args: unknown[]) => {
          count(name, String(args[0]))
          const result = Reflect.apply(call, fs, args) as unknown
          if (name === 'openSync') return this.#watched(result as File)
          if (name === 'open') return (result as Promise<File>).then(file => this.#watched(file))
          return result
        }
      },
    })
  }

  /** Forgets what was counted so far. */
  clear(): void {
    this.#calls = new Map()
    this.#bytes = new Map()
  }

  /** How often something was asked: of all names and kinds that `wanted` matches, blocking or not. */
  calls(wanted: RegExp = /./): number {
    return sum(this.#calls, wanted)
  }

  /** Bytes that were asked for, of reads and writes that `wanted` matches. */
  bytes(wanted: RegExp): number {
    return sum(this.#bytes, wanted)
  }

  /** What was counted, for a message. */
  toString(): string {
    return [...this.#calls].map(([name, times]) => `${name}: ${times}`).join(', ')
  }

  #watched(file: File): File {
    return new Proxy(file, {
      get: (target, name: keyof File) => {
        const call = target[name]
        if (typeof call !== 'function') return call
        return (...args: unknown[]) => {
          this.#count(name, target.path)
          const key = keyOf(name, target.path)
          if (/^(read|write)/.test(name)) this.#bytes.set(key, (this.#bytes.get(key) ?? 0) + Number(args[2]))
          return Reflect.apply(call, target, args) as unknown
        }
      },
    })
  }

  #count(name: string, path: string): void {
    const key = keyOf(name, path)
    this.#calls.set(key, (this.#calls.get(key) ?? 0) + 1)
  }
}

function keyOf(name: string, path: string): string {
  const file = path.split('/').at(-1)!
  return `${name} ${file.endsWith('.wal') || file === 'next.tmp' ? 'segment' : file}`
}

function sum(counted: ReadonlyMap<string, number>, wanted: RegExp): number {
  let total = 0
  for (const [key, n] of counted) if (wanted.test(key)) total += n
  return total
}
