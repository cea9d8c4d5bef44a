import {
  close,
  closeSync,
  constants,
  fdatasync,
  fstat,
  fstatSync,
  fsync,
  ftruncate,
  open,
  openSync,
  promises,
  read,
  readSync,
  type Stats,
  watch,
  write,
  writev,
} from 'node:fs'
import { promisify } from 'node:util'
import { kernelLock } from './lock.js'
import type { File, FileSystem, OpenMode } from './types.js'

const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700

const IS_WINDOWS = process.platform === 'win32'
/** Without this flag (Windows) links are looked for before the file is opened. */
const O_NOFOLLOW: number | undefined = constants.O_NOFOLLOW
/** A pipe or device under the name must not make open(2) wait; for a regular file the flag means nothing. */
const O_NONBLOCK: number = constants.O_NONBLOCK ?? 0
const O_DIRECT: number | undefined = constants.O_DIRECT

const openFd = promisify(open)
const closeFd = promisify(close)
const fsyncFd = promisify(fsync)

/** The real file system. */
export const nodeFileSystem: FileSystem = {
  async open(path, mode, options) {
    if (O_NOFOLLOW === undefined) refuseLink(path, await lstatIfThere(path))
    return openRegular(path, mode, options?.direct === true)
  },

  openSync(path) {
    const fd = openSync(path, flagsFor('read', false))
    try {
      const stats = fstatSync(fd)
      refuseIrregular(path, stats)
      return new NodeFile(path, fd, stats.size)
    } catch (error) {
      closeSync(fd)
      throw error
    }
  },

  list: directory => promises.readdir(directory),

  async stat(path) {
    const stats = await lstatIfThere(path)
    if (!stats) return undefined
    return { kind: stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other', size: stats.size }
  },

  async createDirectory(path) {
    await promises.mkdir(path, { mode: DIRECTORY_MODE })
  },

  removeDirectory: path => promises.rmdir(path),
  rename: (from, to) => promises.rename(from, to),
  unlink: path => promises.unlink(path),
  link: (existing, path) => promises.link(existing, path),

  /** Windows cannot sync a directory from Node; NTFS journals names, in order, and that has to do there. */
  async syncDirectory(directory) {
    if (IS_WINDOWS) return
    const fd = await openFd(directory, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await fsyncFd(fd)
    } finally {
      // Nothing was written through it, so closing it has nothing to wait for.
      closeSync(fd)
    }
  },

  watch(path, onChange) {
    const watcher = watch(path, { persistent: false }, event => onChange(event === 'rename'))
    // The caller looks by itself now and then.
    watcher.on('error', () => watcher.close())
    return () => watcher.close()
  },

  lock: kernelLock,
}

type Settle<T> = (error: NodeJS.ErrnoException | null, value: T) => void

/**
 * One descriptor. It counts the calls under way, because the kernel gives a closed number to the next file opened, and a call that
 * comes late would reach that one.
 */
class NodeFile implements File {
  readonly path: string
  readonly sizeAtOpening: number
  readonly #fd: number
  #pending = 0
  #closing: Promise<void> | undefined
  #whenIdle: (() => void) | undefined

  constructor(path: string, fd: number, sizeAtOpening: number) {
    this.path = path
    this.sizeAtOpening = sizeAtOpening
    this.#fd = fd
  }

  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.#run<number>(settle => read(this.#fd, buffer, offset, length, position, settle))
  }

  readSync(buffer: Uint8Array, offset: number, length: number, position: number): number {
    if (this.#closing) throw this.#closed()
    return readSync(this.#fd, buffer, offset, length, position)
  }

  write(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.#run<number>(settle => write(this.#fd, buffer, offset, length, position, settle))
  }

  writev(buffers: readonly Uint8Array[], position: number): Promise<number> {
    return this.#run<number>(settle => writev(this.#fd, buffers, position, settle))
  }

  sync(): Promise<void> {
    return this.#run<void>(settle => fdatasync(this.#fd, settle as (error: NodeJS.ErrnoException | null) => void))
  }

  truncate(length: number): Promise<void> {
    return this.#run<void>(settle =>
      ftruncate(this.#fd, length, settle as (error: NodeJS.ErrnoException | null) => void),
    )
  }

  async size(): Promise<number> {
    return (await this.#run<Stats>(settle => fstat(this.#fd, settle))).size
  }

  sizeSync(): number {
    if (this.#closing) throw this.#closed()
    return fstatSync(this.#fd).size
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  closeSync(): void {
    if (this.#closing) return
    if (this.#pending > 0) {
      this.close().catch(() => undefined) // Documented: nobody is told.
      return
    }
    this.#closing = Promise.resolve()
    closeSync(this.#fd)
  }

  async #close(): Promise<void> {
    if (this.#pending > 0) await new Promise<void>(resolve => (this.#whenIdle = resolve))
    await closeFd(this.#fd)
  }

  #run<T>(start: (settle: Settle<T>) => void): Promise<T> {
    if (this.#closing) return Promise.reject(this.#closed())
    return new Promise((resolve, reject) => {
      start((error, value) => {
        this.#pending--
        if (error) reject(Object.assign(error, { path: this.path }))
        else resolve(value)
        if (this.#pending === 0) this.#whenIdle?.()
      })
      // Counted after the call: one that throws for its arguments never started.
      this.#pending++
    })
  }

  #closed(): NodeJS.ErrnoException {
    return errnoError('EBADF', -9, `the file is closed`, this.path)
  }
}

function flagsFor(mode: OpenMode, direct: boolean): number {
  const base = (O_NOFOLLOW ?? 0) | O_NONBLOCK
  const directly = direct ? (O_DIRECT ?? 0) : 0
  if (mode === 'read') return base | directly | constants.O_RDONLY
  const create = mode === 'create' ? constants.O_CREAT | constants.O_EXCL : 0
  return base | directly | (direct ? constants.O_DSYNC : 0) | create | constants.O_RDWR
}

async function openRegular(path: string, mode: OpenMode, direct: boolean): Promise<File> {
  if (direct && O_DIRECT === undefined) throw errnoError('EINVAL', -22, 'this platform has no direct I/O', path)
  const fd = await openFd(path, flagsFor(mode, direct), FILE_MODE).catch(async error => {
    if (direct && mode === 'create' && error.code === 'EINVAL') await removeRefused(path)
    throw error
  })
  try {
    // Blocking: once a file is open the kernel has its attributes at hand, and a trip through the thread pool costs fifty times as much.
    const stats = fstatSync(fd)
    refuseIrregular(path, stats)
    return new NodeFile(path, fd, stats.size)
  } catch (error) {
    await closeFd(fd)
    throw error
  }
}

/** Linux creates the file before it finds that the file system has no direct I/O. */
async function removeRefused(path: string): Promise<void> {
  await promises.rm(path, { force: true })
}

async function lstatIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await promises.lstat(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function refuseLink(path: string, stats: Stats | undefined): void {
  if (stats?.isSymbolicLink()) throw errnoError('ELOOP', -40, 'it is a symbolic link', path)
}

function refuseIrregular(path: string, stats: Stats): void {
  if (stats.isFile()) return
  if (stats.isDirectory()) throw errnoError('EISDIR', -21, 'it is a directory', path)
  throw errnoError('EINVAL', -22, 'it is not a regular file', path)
}

function errnoError(code: string, errno: number, reason: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${reason}, '${path}'`), { code, errno, path })
}
