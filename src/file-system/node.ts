import * as nodeFs from 'node:fs'
import { devNull } from 'node:os'
import { WalError } from '../errors.js'
import type { Calls, Done, FileCalls, Status } from './calls.js'
import { isMissing } from './errno.js'
import { kernelLock } from './lock.js'
import type { File, FileSystem, OpenMode } from './types.js'
import { joinWriterThread } from './writer-thread/shared.js'
import { threadCalls } from './writer-thread/thread-calls.js'

const { closeSync, constants, fstatSync, openSync, promises, watch } = nodeFs

const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700

const IS_WINDOWS = process.platform === 'win32'
/** Without this flag (Windows) links are looked for before the file is opened. */
const O_NOFOLLOW: number | undefined = constants.O_NOFOLLOW
/** A pipe or device under the name must not make open(2) wait; for a regular file the flag means nothing. */
const O_NONBLOCK: number = constants.O_NONBLOCK ?? 0
const O_DIRECT: number | undefined = constants.O_DIRECT

/** Each call is made by a thread of libuv's pool. */
const poolCalls: Calls = nodeFs

/** The real file system. */
export const nodeFileSystem: FileSystem = {
  ...writingBy(poolCalls),

  openSync(path) {
    const fd = openSync(path, flagsFor('read', false))
    try {
      const status = fstatSync(fd)
      refuseIrregular(path, status)
      return new NodeFile(poolCalls, { path, fd, size: status.size })
    } catch (error) {
      closeSync(fd)
      throw error
    }
  },

  list: directory => promises.readdir(directory),

  async createDirectory(path) {
    await promises.mkdir(path, { mode: DIRECTORY_MODE })
  },

  removeDirectory: path => promises.rmdir(path),
  link: (existing, path) => promises.link(existing, path),

  watch(path, onChange) {
    const watcher = watch(path, { persistent: false }, event => onChange(event === 'rename'))
    // The caller looks by itself now and then.
    watcher.on('error', () => watcher.close())
    return () => watcher.close()
  },

  lock: kernelLock,

  async writerThread(options) {
    const { writing, syncing, leave } = await joinWriterThread(options)
    const calls = threadCalls(writing, syncing, poolCalls)
    try {
      await assertSharesDescriptors(calls)
    } catch (error) {
      await leave()
      throw error
    }
    return { fs: { ...nodeFileSystem, ...writingBy(calls) }, leave }
  },
}

/** What a writer does with files and their names, by the given calls. */
export function writingBy(calls: Calls): Pick<FileSystem, 'open' | 'stat' | 'rename' | 'unlink' | 'syncDirectory'> {
  return {
    async open(path, mode, options) {
      if (O_NOFOLLOW === undefined) refuseLink(path, await lstatIfThere(calls, path))
      return openRegular(calls, path, mode, options?.direct === true)
    },

    async stat(path) {
      const status = await lstatIfThere(calls, path)
      if (!status) return undefined
      const isFile = isA(status, constants.S_IFREG)
      return { kind: isFile ? 'file' : isA(status, constants.S_IFDIR) ? 'directory' : 'other', size: status.size }
    },

    rename: (from, to) => ended(done => calls.rename(from, to, done)),
    unlink: path => ended(done => calls.unlink(path, done)),

    /** Windows cannot sync a directory from Node; NTFS journals names, in order, and that has to do there. */
    async syncDirectory(directory) {
      if (IS_WINDOWS) return
      const flags = constants.O_RDONLY | constants.O_DIRECTORY
      const fd = await ended<number>(done => calls.open(directory, flags, 0, done))
      try {
        await ended(done => calls.fsync(fd, done))
      } finally {
        // Nothing was written through it, so closing it has nothing to wait for.
        calls.closeSync(fd)
      }
    },
  }
}

/** Where each thread numbers its open files by itself, as in Deno, what one opens another could neither read nor close. */
async function assertSharesDescriptors(calls: Calls): Promise<void> {
  const fd = openSync(devNull, 'r')
  try {
    await ended<Status>(done => calls.fstat(fd, done))
  } catch (cause) {
    const message =
      'There can be no writer thread: in this runtime threads do not share open files. Leave the option writerThread out.'
    throw new WalError('WAL_IO', message, { cause })
  } finally {
    closeSync(fd)
  }
}

/** A call as a promise. */
function ended<T = void>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(error) : resolve(value as T)))
  })
}

/**
 * One descriptor. It counts the calls under way, because the kernel gives a closed number to the next file opened, and a call that
 * comes late would reach that one.
 */
class NodeFile implements File {
  readonly path: string
  readonly sizeAtOpening: number
  readonly #calls: FileCalls
  readonly #fd: number
  #pending = 0
  #closing: Promise<void> | undefined
  #whenIdle: (() => void) | undefined

  constructor(calls: FileCalls, { path, fd, size }: { path: string; fd: number; size: number }) {
    this.path = path
    this.sizeAtOpening = size
    this.#calls = calls
    this.#fd = fd
  }

  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.#run<number>(done => this.#calls.read(this.#fd, buffer, offset, length, position, done))
  }

  readSync(buffer: Uint8Array, offset: number, length: number, position: number): number {
    if (this.#closing) throw this.#closed()
    return this.#calls.readSync(this.#fd, buffer, offset, length, position)
  }

  write(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.#run<number>(done => this.#calls.write(this.#fd, buffer, offset, length, position, done))
  }

  writev(buffers: readonly Uint8Array[], position: number): Promise<number> {
    return this.#run<number>(done => this.#calls.writev(this.#fd, buffers, position, done))
  }

  sync(): Promise<void> {
    return this.#run<void>(done => this.#calls.fdatasync(this.#fd, done))
  }

  truncate(length: number): Promise<void> {
    return this.#run<void>(done => this.#calls.ftruncate(this.#fd, length, done))
  }

  async size(): Promise<number> {
    return (await this.#run<Status>(done => this.#calls.fstat(this.#fd, done))).size
  }

  sizeSync(): number {
    if (this.#closing) throw this.#closed()
    return this.#calls.fstatSync(this.#fd).size
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
    this.#calls.closeSync(this.#fd)
  }

  async #close(): Promise<void> {
    if (this.#pending > 0) await new Promise<void>(resolve => (this.#whenIdle = resolve))
    await ended(done => this.#calls.close(this.#fd, done))
  }

  #run<T>(start: (done: Done<T>) => void): Promise<T> {
    if (this.#closing) return Promise.reject(this.#closed())
    return new Promise((resolve, reject) => {
      start((error, value) => {
        this.#pending--
        if (error) reject(Object.assign(error, { path: this.path }))
        else resolve(value as T)
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

async function openRegular(calls: Calls, path: string, mode: OpenMode, direct: boolean): Promise<File> {
  if (direct && O_DIRECT === undefined) throw errnoError('EINVAL', -22, 'this platform has no direct I/O', path)
  const flags = flagsFor(mode, direct)
  const fd = await ended<number>(done => calls.open(path, flags, FILE_MODE, done)).catch(async error => {
    if (direct && mode === 'create' && error.code === 'EINVAL') await removeRefused(calls, path)
    throw error
  })
  try {
    // Blocking: once a file is open the kernel has its attributes at hand, and a trip to another thread costs fifty times as much.
    const status = calls.fstatSync(fd)
    refuseIrregular(path, status)
    return new NodeFile(calls, { path, fd, size: status.size })
  } catch (error) {
    await ended(done => calls.close(fd, done))
    throw error
  }
}

/** Linux creates the file before it finds that the file system has no direct I/O. */
async function removeRefused(calls: Calls, path: string): Promise<void> {
  await ended(done => calls.unlink(path, done)).catch(error => {
    if (!isMissing(error)) throw error
  })
}

async function lstatIfThere(calls: Calls, path: string): Promise<Status | undefined> {
  try {
    return await ended<Status>(done => calls.lstat(path, done))
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function isA({ mode }: Status, kind: number): boolean {
  return (mode & constants.S_IFMT) === kind
}

function refuseLink(path: string, status: Status | undefined): void {
  if (status && isA(status, constants.S_IFLNK)) throw errnoError('ELOOP', -40, 'it is a symbolic link', path)
}

function refuseIrregular(path: string, status: Status): void {
  if (isA(status, constants.S_IFREG)) return
  if (isA(status, constants.S_IFDIR)) throw errnoError('EISDIR', -21, 'it is a directory', path)
  throw errnoError('EINVAL', -22, 'it is not a regular file', path)
}

function errnoError(code: string, errno: number, reason: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${reason}, '${path}'`), { code, errno, path })
}
