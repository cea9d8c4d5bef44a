import { constants } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FileCalls, Status } from '../../src/file-system/calls.js'
import { writingBy } from '../../src/file-system/node.js'
import type { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import { errnoError } from '../../src/file-system/simulation/errors.js'
import { Random } from '../../src/file-system/simulation/random.js'
import type { File, FileSystem } from '../../src/file-system/types.js'
import { HandOver, type Reply, type Request, type Thread } from '../../src/file-system/writer-thread/hand-over.js'
import { threadCalls } from '../../src/file-system/writer-thread/thread-calls.js'

type OpenFiles = Map<number, File | string>

type Arguments = readonly (string | number)[]

/**
 * Stands in for the worker: makes the calls it is handed on a simulated disk, one after the other, and tells of each some turns of
 * the event loop later, when the next ones may be done already. All that is handed over, and how, is the product's own code.
 */
class SimulatedThread implements Thread {
  readonly memory: Buffer
  readonly handOver: HandOver
  readonly #fs: SimulatedFileSystem
  readonly #random: Random
  readonly #files: OpenFiles
  #work: Promise<unknown> = Promise.resolve()
  #told: Promise<unknown> = Promise.resolve()
  #isAlive = false

  constructor(fs: SimulatedFileSystem, files: OpenFiles, { seed, memoryBytes }: ThreadTraits) {
    this.#fs = fs
    this.#files = files
    this.#random = new Random(seed)
    this.memory = Buffer.alloc(memoryBytes)
    this.handOver = new HandOver(this)
  }

  keepAlive(yes: boolean): void {
    this.#isAlive = yes
  }

  send(request: Request): void {
    if (!this.#isAlive) throw new Error(`a process that has a ${request.name} under way may end`)
    // What the caller may change from now on must not matter; what it shares with the thread it must leave alone.
    const sent = structuredClone(request)
    const bytes = sent.name === 'write' ? Buffer.from(this.#shared(sent.args)) : undefined
    const made = this.#work.then(async (): Promise<Reply> => {
      if (bytes?.equals(this.#shared(sent.args)) === false) throw new Error('bytes under way were overwritten')
      return this.#make(sent)
    })
    this.#work = made
    this.#told = this.#told.then(async () => {
      const reply = await made
      for (let turns = this.#random.below(4); turns >= 0; turns--) await nextTurn()
      this.handOver.settle(reply)
    })
  }

  /** Of this thread's own. */
  get ownCalls(): FileCalls {
    return {
      closeSync: fd => {
        if (typeof this.#files.get(fd) === 'string') this.#files.delete(fd)
        else this.#take(fd).closeSync()
      },
      fstatSync: fd => ({ mode: constants.S_IFREG, size: this.#file(fd).sizeSync() }),
      readSync: (fd, ...into) => this.#file(fd).readSync(...into),
      close: () => {
        throw new Error('the thread has not ended')
      },
    } as Partial<FileCalls> as FileCalls
  }

  leave(): void {
    if (this.#isAlive || this.#files.size > 0) throw new Error('whoever leaves has calls under way, or files open')
  }

  #shared([, at, length]: Arguments): Buffer {
    return this.memory.subarray(at as number, (at as number) + (length as number))
  }

  async #make({ name, args }: Request): Promise<Reply> {
    try {
      return { value: await this.#calls[name]!(...(args as never[])) }
    } catch (error) {
      const { message, ...fields } = error as Error
      return { error: { message: (error as Error).message, ...fields } }
    }
  }

  readonly #calls: Record<string, (...args: never[]) => Promise<unknown>> = {
    open: async (path: string, flags: number) => {
      const fd = Math.max(2, ...this.#files.keys()) + 1
      this.#files.set(fd, flags & constants.O_DIRECTORY ? path : await this.#open(path, flags))
      return fd
    },
    close: (fd: number) => this.#take(fd).close(),
    fstat: async (fd: number): Promise<Status> => ({ mode: constants.S_IFREG, size: await this.#file(fd).size() }),
    fsync: (fd: number) => this.#fs.syncDirectory(this.#files.get(fd) as string),
    fdatasync: (fd: number) => this.#file(fd).sync(),
    ftruncate: (fd: number, length: number) => this.#file(fd).truncate(length),
    read: (fd: number, at: number, length: number, position: number) =>
      this.#file(fd).read(this.memory, at, length, position),
    write: (fd: number, at: number, length: number, position: number) =>
      this.#file(fd).write(this.memory, at, length, position),
    rename: (from: string, to: string) => this.#fs.rename(from, to),
    unlink: (path: string) => this.#fs.unlink(path),
    lstat: async (path: string): Promise<Status> => {
      const found = await this.#fs.stat(path)
      if (found === undefined) throw errnoError('ENOENT', 'lstat', path)
      const kinds = { file: constants.S_IFREG, directory: constants.S_IFDIR, other: constants.S_IFLNK }
      return { mode: kinds[found.kind], size: found.size }
    },
  }

  #open(path: string, flags: number): Promise<File> {
    const mode = flags & constants.O_CREAT ? 'create' : flags & constants.O_RDWR ? 'write' : 'read'
    return this.#fs.open(path, mode, { direct: (flags & constants.O_DIRECT) !== 0 })
  }

  #file(fd: number): File {
    const file = this.#files.get(fd)
    if (file === undefined || typeof file === 'string') throw errnoError('EBADF', 'call', `${fd}`)
    return file
  }

  #take(fd: number): File {
    const file = this.#file(fd)
    this.#files.delete(fd)
    return file
  }
}

interface ThreadTraits {
  /** Of how late a thread's replies are. */
  seed: number
  /** In little memory a call has to wait for another one's end, or is made in parts. */
  memoryBytes: number
}

/** The simulated file system, with threads that write to it. */
export function withThread(fs: SimulatedFileSystem, traits: Partial<ThreadTraits> = {}): FileSystem {
  const writerThread: FileSystem['writerThread'] = async ({ syncsAside }) => {
    const files: OpenFiles = new Map()
    const { seed, memoryBytes } = { seed: 0, memoryBytes: 1 << 20, ...traits }
    const writer = new SimulatedThread(fs, files, { seed, memoryBytes })
    const syncer = syncsAside ? new SimulatedThread(fs, files, { seed: seed + 1, memoryBytes }) : writer
    const written: FileSystem = {
      ...writingBy(threadCalls(writer.handOver, syncer.handOver, writer.ownCalls)),
      openSync: path => fs.openSync(path),
      list: directory => fs.list(directory),
      createDirectory: path => fs.createDirectory(path),
      link: (existing, path) => fs.link(existing, path),
      lock: (path, owner) => fs.lock(path, owner),
    }
    const leave = async () => {
      writer.leave()
      syncer.leave()
    }
    return { fs: written, leave }
  }
  return Object.assign(fs, { writerThread })
}
