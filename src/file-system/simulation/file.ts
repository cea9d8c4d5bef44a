import type { File } from '../types.js'
import type { Disk } from './disk.js'
import { errnoError, misuseError } from './errors.js'
import type { FileNode } from './file-node.js'
import type { Access, Call, Flight } from './flight.js'
import { PAGE_BYTES } from './pages.js'

/** Strictest of the alignments a disk may ask of address, length and position of direct I/O. */
const DIRECT_ALIGNMENT_BYTES = 4096

export interface Opening {
  path: string
  file: FileNode
  writable: boolean
  direct: boolean
}

/** An open file of the simulation. Its calls name the file by id, so that they can also be played on a copy of the disk. */
export class SimulatedFile implements File {
  readonly path: string
  readonly #access: Access
  readonly #file: FileNode
  readonly #writable: boolean
  readonly #direct: boolean
  #pending = 0
  #closing: Promise<void> | undefined
  #whenIdle: (() => void) | undefined

  constructor(access: Access, opening: Opening) {
    this.path = opening.path
    this.#access = access
    this.#file = opening.file
    this.#writable = opening.writable
    this.#direct = opening.direct
    opening.file.handles++
  }

  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.#run({ kind: 'read', path: this.path, position, length }, () =>
      this.#reading(buffer, offset, length, position),
    )
  }

  readSync(buffer: Uint8Array, offset: number, length: number, position: number): number {
    if (this.#closing) throw this.#error('EBADF', 'read')
    const flight = this.#reading(buffer, offset, length, position)
    return this.#access.performSync({ kind: 'read', path: this.path, position, length }, flight)
  }

  write(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.#run({ kind: 'write', path: this.path, position, length, direct: this.#direct }, () =>
      this.#writing(buffer, offset, length, position),
    )
  }

  writev(buffers: readonly Uint8Array[], position: number): Promise<number> {
    const length = buffers.reduce((sum, buffer) => sum + buffer.length, 0)
    return this.#run({ kind: 'write', path: this.path, position, length, direct: this.#direct }, () => {
      this.#refuseUnaligned('writev', ...buffers.flatMap(buffer => [buffer.byteOffset, buffer.length]))
      return this.#storing(() => Buffer.concat(buffers), position)
    })
  }

  sync(): Promise<void> {
    return this.#run({ kind: 'sync', path: this.path }, () => this.#syncing())
  }

  truncate(length: number): Promise<void> {
    return this.#run({ kind: 'truncate', path: this.path, length }, () => this.#truncating(length))
  }

  size(): Promise<number> {
    return this.#run({ kind: 'size', path: this.path }, () => ({ apply: () => this.#file.size }))
  }

  sizeSync(): number {
    if (this.#closing) throw this.#error('EBADF', 'size')
    return this.#access.performSync({ kind: 'size', path: this.path }, { apply: () => this.#file.size })
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  closeSync(): void {
    if (this.#closing) return
    if (this.#pending > 0) {
      void this.close()
      return
    }
    this.#closing = Promise.resolve()
    this.#file.handles--
  }

  async #close(): Promise<void> {
    if (this.#pending > 0) await new Promise<void>(resolve => (this.#whenIdle = resolve))
    this.#file.handles--
  }

  async #run<T>(call: Call, flight: () => Flight<T>): Promise<T> {
    if (this.#closing) throw this.#error('EBADF', call.kind)
    this.#pending++
    try {
      return await this.#access.perform(call, flight())
    } finally {
      this.#pending--
      if (this.#pending === 0) this.#whenIdle?.()
    }
  }

  #reading(buffer: Uint8Array, offset: number, length: number, position: number): Flight<number> {
    this.#refuseOutside('read', buffer, offset, length)
    this.#refuseUnaligned('read', buffer.byteOffset + offset, length, position)
    const read = (count: number) => this.#file.read(buffer, offset, count, position, this.#direct)
    return { apply: () => read(length), short: (_, count) => read(Math.min(count, length)) }
  }

  #writing(buffer: Uint8Array, offset: number, length: number, position: number): Flight<number> {
    this.#refuseOutside('write', buffer, offset, length)
    this.#refuseUnaligned('write', buffer.byteOffset + offset, length, position)
    return this.#storing(() => new Uint8Array(buffer.subarray(offset, offset + length)), position)
  }

  /** `source` gives a copy of what is to be written: now, and again when the call takes effect, to see whether it changed. */
  #storing(source: () => Uint8Array, position: number): Flight<number> {
    if (!this.#writable) throw this.#error('EBADF', 'write')
    const data = source()
    const { length } = data
    const write = (disk: Disk, limit: number) => {
      if (Buffer.compare(source(), data) !== 0) throw misuseError('the buffer of a write changed on the way', this.path)
      return this.#store(disk, data.subarray(0, limit), position)
    }
    return {
      apply: disk => write(disk, length),
      short: (disk, limit) => write(disk, Math.min(limit, length)),
      cut: disk => disk.file(this.#file.id)?.write(disk.nextSequence(), data, position),
      kill: (disk, random) => {
        // A dying process's write stops between two pages; direct ones are with the disk already, or not yet.
        const pages = this.#direct ? random.below(2) * length : random.below(length / PAGE_BYTES + 2) * PAGE_BYTES
        this.#put(disk, data.subarray(0, pages), position)
      },
      fail: (disk, random) => {
        if (this.#direct) this.#put(disk, data.subarray(0, random.below(length / 512 + 1) * 512), position)
      },
      range: { file: this.#file.id, from: position, to: position + length },
    }
  }

  #store(disk: Disk, data: Uint8Array, position: number): number {
    const fitting = this.#file.fitting(position, data.length, this.#access.freeBytes())
    if (fitting === 0 && data.length > 0) throw this.#error('ENOSPC', 'write')
    this.#put(disk, data.subarray(0, fitting), position)
    return fitting
  }

  #put(disk: Disk, data: Uint8Array, position: number): void {
    const file = disk.file(this.#file.id)
    if (this.#direct && !this.#access.ignoresSync) file?.writeThrough(disk.nextSequence(), data, position)
    else file?.write(disk.nextSequence(), data, position)
  }

  #syncing(): Flight<void> {
    const before = this.#access.nextSequence()
    return {
      apply: disk => this.#sync(disk, before),
      cut: () => {},
      fail: (disk, random) => disk.file(this.#file.id)?.failWriteBack(random),
    }
  }

  #sync(disk: Disk, before: number): void {
    const file = disk.file(this.#file.id)
    if (!file || this.#access.ignoresSync) return
    file.sync(before)
    if (!file.unreportedError) return
    file.unreportedError = false
    throw this.#error('EIO', 'fdatasync')
  }

  #truncating(length: number): Flight<void> {
    if (!this.#writable || length < 0) throw this.#error('EINVAL', 'ftruncate')
    return {
      apply: disk => disk.file(this.#file.id)?.truncate(disk.nextSequence(), length),
      range: { file: this.#file.id, from: Math.min(length, this.#file.size), to: Number.POSITIVE_INFINITY },
    }
  }

  #refuseOutside(syscall: string, buffer: Uint8Array, offset: number, length: number): void {
    if (offset >= 0 && length >= 0 && offset + length <= buffer.length) return
    throw new RangeError(`${syscall}: bytes ${offset} to ${offset + length} lie outside a buffer of ${buffer.length}`)
  }

  #refuseUnaligned(syscall: string, ...values: number[]): void {
    if (this.#direct && values.some(value => value % DIRECT_ALIGNMENT_BYTES !== 0)) throw this.#error('EINVAL', syscall)
  }

  #error(code: Parameters<typeof errnoError>[0], syscall: string): Error {
    return errnoError(code, syscall, this.path)
  }
}
