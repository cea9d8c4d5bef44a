import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nodeFileSystem } from '../../src/file-system/node.js'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import type { File, FileSystem, OpenMode } from '../../src/file-system/types.js'

/** Names that clash often: files, directories, files below files, directories below themselves. */
const name = fc.constantFrom('a', 'b', 'd', 'd/a', 'd/e', 'a/x', 'no/x')
const handle = fc.nat(2)
const position = fc.nat(6000)
const length = fc.nat(6000)

const step = fc.oneof(
  fc.tuple(fc.constant('open'), name, fc.constantFrom<OpenMode>('create', 'create', 'write', 'read')),
  fc.tuple(fc.constantFrom('list', 'stat', 'createDirectory', 'unlink', 'syncDirectory'), name),
  fc.tuple(fc.constantFrom('rename', 'link'), name, name),
  fc.tuple(fc.constantFrom('write', 'read', 'readSync'), handle, position, length),
  fc.tuple(fc.constant('truncate'), handle, length),
  fc.tuple(fc.constantFrom('size', 'sync', 'close'), handle),
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** One of the two file systems, and up to three files open in it. */
class Player {
  readonly #fs: FileSystem
  readonly #directory: string
  readonly #open: File[] = []
  #letter = 0

  constructor(fs: FileSystem, directory: string) {
    this.#fs = fs
    this.#directory = directory
  }

  /** What the step answers, or the code of its error. */
  async play(step: Step): Promise<unknown> {
    try {
      return await this.#do(step)
    } catch (error) {
      return (error as NodeJS.ErrnoException).code
    }
  }

  async end(): Promise<void> {
    for (const file of this.#open) await file.close()
  }

  async #do([kind, first, second, third]: Step): Promise<unknown> {
    if (typeof first === 'string') return this.#onNames(kind, first, second)
    const file = this.#open[first % Math.max(1, this.#open.length)]
    return file && this.#onFile(file, kind, Number(second), Number(third))
  }

  async #onNames(kind: string, name: string, second: unknown): Promise<unknown> {
    const path = join(this.#directory, name)
    switch (kind) {
      case 'open':
        if (this.#open.length >= 3) await this.#open.shift()?.close()
        this.#open.push(await this.#fs.open(path, second as OpenMode))
        return 'opened'
      case 'list':
        return (await this.#fs.list(path)).sort()
      case 'stat': {
        const stat = await this.#fs.stat(path)
        return stat?.kind === 'directory' ? 'directory' : stat
      }
      case 'rename':
      case 'link':
        return this.#fs[kind](path, join(this.#directory, String(second)))
      default:
        return this.#fs[kind as 'createDirectory' | 'unlink' | 'syncDirectory'](path)
    }
  }

  async #onFile(file: File, kind: string, first: number, second: number): Promise<unknown> {
    switch (kind) {
      case 'write':
        return file.write(Buffer.alloc(second, 65 + (this.#letter++ % 26)), 0, second, first)
      case 'read':
      case 'readSync': {
        const buffer = Buffer.alloc(second)
        return [await file[kind](buffer, 0, second, first), buffer.toString('latin1')]
      }
      case 'truncate':
        return file.truncate(first)
      default:
        return file[kind as 'size' | 'sync' | 'close']()
    }
  }
}

const real: [string, () => Promise<{ fs: FileSystem; leave(): Promise<void> }>][] = [
  ['the real file system', async () => ({ fs: nodeFileSystem, leave: async () => {} })],
  ['the writer thread', async () => nodeFileSystem.writerThread!({ syncsAside: true })],
]

test.skipIf(process.platform === 'win32').each(real)(
  'the simulation answers every call as %s does',
  async (_whom, begin) => {
    const { fs, leave } = await begin()
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async steps => {
        const directory = mkdtempSync(join(tmpdir(), 'walrus-diff-'))
        const simulation = new SimulatedFileSystem()
        await simulation.createDirectory('/scene')
        const real = new Player(fs, directory)
        const simulated = new Player(simulation, '/scene')
        try {
          for (const step of steps) expect([step, await simulated.play(step)]).toEqual([step, await real.play(step)])
        } finally {
          await real.end()
          rmSync(directory, { recursive: true })
        }
      }),
      { numRuns: 300 },
    )
    await leave()
  },
)
