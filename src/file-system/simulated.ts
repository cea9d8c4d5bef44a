import { Disk } from './simulation/disk.js'
import { crashedError, errnoError, misuseError } from './simulation/errors.js'
import { ArmedFault, type SimulatedFault } from './simulation/faults.js'
import { SimulatedFile } from './simulation/file.js'
import type { FileNode } from './simulation/file-node.js'
import type { Access, Call, Flight } from './simulation/flight.js'
import { changes, type SimulatedOperation } from './simulation/operation.js'
import { Random } from './simulation/random.js'
import type { File, FileSystem, OpenMode } from './types.js'

export interface SimulatedFileSystemOptions {
  /** Of the choices the simulation makes by itself (what a failed sync wrote all the same). Default 0. */
  seed?: number
  /** Space for file contents, in bytes, counted in pages of 4096. A write that needs more is short, the next one ENOSPC. Default: no limit. */
  capacityBytes?: number
  /** False: opening with `direct` is EINVAL, as on a file system that has no direct I/O. Default true. */
  supportsDirect?: boolean
  /** A disk that lies: file syncs, and direct writes, answer ok and make nothing durable. A test that passes with it proves nothing. */
  ignoreSync?: boolean
  /** As `ignoreSync`, for directory syncs. */
  ignoreDirectorySync?: boolean
}

/**
 * A file system in memory for crash tests. Everything exists twice, as the processes see it and as the disk has it: a write is
 * seen at once and durable after `sync`, a name after `syncDirectory`. `crash` gives a file system as the power cut may have left
 * it: of what was not synced each 512-byte sector, each file's size and each change of a name is there or is not, so writes are
 * dropped, reordered and torn, and unlinked files come back; a sector that was rewritten is old or new.
 *
 * Every asynchronous call takes effect and settles in a later microtask, in the order of the calls; `slow` delays it. Paths are
 * separated by `/`, and only the root directory exists at first. Errors are Node's own with Linux's numbers; besides them there
 * are `SIM_CRASHED` (the call was made on, or was under way in, a file system that crashed) and `SIM_MISUSE` (the buffer of a
 * write changed before it settled, or two writes to the same bytes were under way at a time).
 *
 * @example
 * const fs = new SimulatedFileSystem()
 * const wal = await openWal('/log', { fileSystem: fs })
 * await wal.append('kept')
 * const afterwards = fs.crash({ seed: 42 })
 * const reopened = await openWal('/log', { fileSystem: afterwards })
 */
export class SimulatedFileSystem implements FileSystem {
  /** Called at the start of every call that changes or syncs something; `crashImage` in it shows a cut in the midst of that call. */
  onOperation: ((operation: SimulatedOperation) => void) | undefined
  /** Delays a call: it takes effect and settles once the promise has. */
  slow: ((operation: SimulatedOperation) => Promise<void> | undefined) | undefined
  /** See the option; may be changed at any time. */
  capacityBytes: number
  readonly #options: SimulatedFileSystemOptions
  readonly #random: Random
  readonly #flights = new Set<Flight>()
  readonly #locks = new Set<number>()
  readonly #access: Access
  #disk = new Disk()
  #faults: ArmedFault[] = []
  #operations = 0
  #crashAt = Number.POSITIVE_INFINITY
  #dead = false

  constructor(options: SimulatedFileSystemOptions = {}) {
    this.#options = options
    this.#random = new Random(options.seed ?? 0)
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY
    this.#access = {
      perform: (call, flight) => this.#perform(call, flight),
      performSync: (call, flight) => this.#performSync(call, flight),
      nextSequence: () => this.#disk.nextSequence(),
      freeBytes: () => this.#freeBytes(),
      ignoresSync: options.ignoreSync === true,
    }
  }

  // ---- crashes --------------------------------------------------------------------------------------------------------

  /** How many calls so far change or sync something: each is a point where a crash makes a difference. */
  get operations(): number {
    return this.#operations
  }

  /** Whether the power is off or the process was killed. */
  get crashed(): boolean {
    return this.#dead
  }

  /** The power goes while the operation of this number (see `operations`) is under way. Take what is left with `crash`. */
  crashAt(operation: number): void {
    this.#crashAt = operation
  }

  /**
   * Cuts the power and returns a file system as it may come up again; call it again for other seeds. Seed 0 keeps nothing that was
   * not synced, seed 1 all of it, any other one some of it. All calls under way, and all later ones, reject with SIM_CRASHED.
   */
  crash(options: { seed: number }): SimulatedFileSystem {
    this.#dead = true
    return this.crashImage(options)
  }

  /** As `crash`, but this file system goes on: one run of a workload can be looked at after every operation. */
  crashImage(options: { seed: number }): SimulatedFileSystem {
    const disk = this.#disk.clone()
    for (const flight of this.#flights) leave(() => (flight.cut ?? flight.apply)(disk))
    disk.cut(options.seed)
    return this.#successor(disk, options.seed)
  }

  /**
   * Kills the process (`kill -9`): locks are free, what was written is still seen, and what was not synced is still not durable. Of
   * the calls under way each is done or not, a write perhaps in part. Can be called again for other seeds.
   */
  kill(options: { seed: number } = { seed: 0 }): SimulatedFileSystem {
    this.#dead = true
    return this.killImage(options)
  }

  /** As `kill`, but this file system goes on, as with `crashImage`. */
  killImage(options: { seed: number }): SimulatedFileSystem {
    const disk = this.#disk.clone()
    const random = new Random(options.seed)
    for (const flight of this.#flights) {
      if (flight.kill) leave(() => flight.kill?.(disk, random))
      else if (random.chance(0.5)) leave(() => flight.apply(disk))
    }
    return this.#successor(disk, options.seed)
  }

  // ---- faults ---------------------------------------------------------------------------------------------------------

  /**
   * Makes the nth call from now on (1 is the next) that `filter` accepts fail. A sync that fails drops the unsynced data while
   * reads go on showing them, and the next sync answers ok.
   */
  failNth(nth: number, fault: SimulatedFault = {}): ArmedFault {
    const armed = new ArmedFault(nth, fault)
    this.#faults.push(armed)
    return armed
  }

  clearFaults(): void {
    this.#faults = []
  }

  /**
   * The kernel writes a file back by itself and fails: its unsynced data are lost while reads go on showing them. `reported`:
   * 'next-sync': the next sync, whichever process makes it, rejects with EIO, and only that one. 'nobody': a process that is gone
   * was told, and no sync will ever reject.
   */
  failWriteBack(path: string, options: { reported: 'next-sync' | 'nobody' }): void {
    const file = this.#fileAt(path)
    file.failWriteBack(this.#random)
    file.unreportedError = options.reported === 'next-sync'
  }

  // ---- looking and damaging, outside of all counting --------------------------------------------------------------------

  /** What a process would read from a file. */
  contents(path: string): Buffer {
    const file = this.#fileAt(path)
    const bytes = Buffer.alloc(file.size)
    file.read(bytes, 0, bytes.length, 0, false)
    return bytes
  }

  /** Puts a file there as if it had always held these bytes, on disk too: for bit rot, foreign files, restored backups. */
  place(path: string, bytes: Uint8Array): void {
    this.#disk.place(path, bytes)
  }

  /** Takes a name away as if it had never been there. */
  remove(path: string): void {
    this.#disk.remove(path)
  }

  /** Puts something there that is neither file nor directory; opening it is ELOOP, as for a symbolic link. */
  placeOther(path: string): void {
    this.#disk.createOther(path)
  }

  /** Bytes of space that file contents take, in whole pages. */
  get usedBytes(): number {
    return this.#disk.usedBytes()
  }

  /** How many files are open, and locks held: none is once everything was closed. */
  get openFiles(): number {
    return this.#disk.openFiles()
  }

  // ---- FileSystem -----------------------------------------------------------------------------------------------------

  open(path: string, mode: OpenMode, options: { direct?: boolean } = {}): Promise<File> {
    const direct = options.direct === true
    const open = (disk: Disk) => this.#open(disk, path, mode, direct)
    const cut = (disk: Disk) => void disk.createFile(path)
    const kind = mode === 'create' ? 'create' : 'open'
    return this.#perform({ kind, path, direct }, { apply: open, cut, kill: coin(cut) })
  }

  openSync(path: string): File {
    return this.#performSync({ kind: 'open', path }, { apply: disk => this.#open(disk, path, 'read', false) })
  }

  list(directory: string): Promise<string[]> {
    return this.#perform({ kind: 'list', path: directory }, { apply: disk => disk.list(directory) })
  }

  stat(path: string): Promise<{ kind: 'file' | 'directory' | 'other'; size: number } | undefined> {
    return this.#perform({ kind: 'stat', path }, { apply: disk => stat(disk, path) })
  }

  createDirectory(path: string): Promise<void> {
    return this.#perform({ kind: 'createDirectory', path }, { apply: disk => disk.createDirectory(path) })
  }

  rename(from: string, to: string): Promise<void> {
    return this.#perform({ kind: 'rename', path: from, to }, { apply: disk => disk.rename(from, to) })
  }

  unlink(path: string): Promise<void> {
    return this.#perform({ kind: 'unlink', path }, { apply: disk => disk.unlink(path) })
  }

  link(existing: string, path: string): Promise<void> {
    return this.#perform({ kind: 'link', path: existing, to: path }, { apply: disk => disk.link(existing, path) })
  }

  syncDirectory(directory: string): Promise<void> {
    const before = this.#disk.nextSequence()
    return this.#perform(
      { kind: 'syncDirectory', path: directory },
      {
        apply: disk => {
          const id = disk.directoryId(directory, 'fsync')
          if (!this.#options.ignoreDirectorySync) disk.syncDirectory(id, before)
        },
        cut: () => {},
        fail: disk => disk.failDirectorySync(disk.directoryId(directory, 'fsync')),
      },
    )
  }

  async lock(path: string, owner: string): Promise<{ release(): Promise<void> } | undefined> {
    const cut = (disk: Disk) => void (disk.find(path) ?? disk.createFile(path))
    const apply = (disk: Disk) => this.#lock(disk, path, owner)
    const file = await this.#perform({ kind: 'lock', path }, { apply, cut, kill: coin(cut) })
    if (!file) return undefined
    return { release: async () => this.#release(file, path) }
  }

  // ---- the course of a call -------------------------------------------------------------------------------------------

  async #perform<T>(call: Call, flight: Flight<T>): Promise<T> {
    const operation = this.#begin(call, flight)
    const fault = this.#strike(operation)
    try {
      await this.slow?.(operation)
    } finally {
      // What was under way as the power went stays so, for `crash` to be asked again.
      if (!this.#dead) this.#flights.delete(flight)
    }
    if (this.#dead) throw crashedError(call.path)
    return this.#finish(operation, flight, fault)
  }

  /** For calls that only look: they are never under way. */
  #performSync<T>(call: Call, flight: Flight<T>): T {
    const operation = this.#begin(call, flight)
    return this.#finish(operation, flight, this.#strike(operation))
  }

  /** Every armed fault counts the call, the first that strikes decides. */
  #strike(operation: SimulatedOperation): ArmedFault | undefined {
    return this.#faults.filter(armed => armed.strikes(operation))[0]
  }

  #begin(call: Call, flight: Flight): SimulatedOperation {
    if (this.#dead) throw crashedError(call.path)
    if (!changes(call.kind)) return { ...call, number: 0 }
    this.#refuseDisorder(call.path, flight)
    const operation = { ...call, number: ++this.#operations }
    this.#flights.add(flight)
    if (operation.number === this.#crashAt) this.#dead = true
    else this.onOperation?.(operation)
    return operation
  }

  #finish<T>(operation: SimulatedOperation, flight: Flight<T>, armed: ArmedFault | undefined): T {
    if (!armed) return flight.apply(this.#disk)
    const { applied, shortWrite, shortRead } = armed.fault
    const length = operation.kind === 'write' ? shortWrite : operation.kind === 'read' ? shortRead : undefined
    if (length !== undefined && flight.short) return flight.short(this.#disk, length)
    if (applied) flight.apply(this.#disk)
    else if (!armed.fault.harmless) flight.fail?.(this.#disk, this.#random)
    throw armed.error(operation)
  }

  #refuseDisorder(path: string, { range }: Flight): void {
    if (!range) return
    for (const { range: other } of this.#flights) {
      if (other?.file === range.file && other.from < range.to && range.from < other.to) {
        throw misuseError('two writes to the same bytes are under way, and have no order', path)
      }
    }
  }

  #successor(disk: Disk, seed: number): SimulatedFileSystem {
    const options = { ...this.#options, seed, capacityBytes: this.capacityBytes }
    const successor = new SimulatedFileSystem(options)
    successor.#disk = disk
    return successor
  }

  // ---- what the calls do ----------------------------------------------------------------------------------------------

  #open(disk: Disk, path: string, mode: OpenMode, direct: boolean): File {
    if (direct && this.#options.supportsDirect === false) throw errnoError('EINVAL', 'open', path)
    const node = mode === 'create' ? disk.createFile(path) : disk.find(path)
    if (!node) throw errnoError('ENOENT', 'open', path)
    if (node.kind !== 'file') throw errnoError(node.kind === 'directory' ? 'EISDIR' : 'ELOOP', 'open', path)
    return new SimulatedFile(this.#access, { path, file: node, writable: mode !== 'read', direct })
  }

  #lock(disk: Disk, path: string, owner: string): FileNode | undefined {
    const node = disk.find(path) ?? disk.createFile(path)
    if (node.kind !== 'file') throw errnoError(node.kind === 'directory' ? 'EISDIR' : 'ELOOP', 'open', path)
    if (this.#locks.has(node.id)) return undefined
    this.#locks.add(node.id)
    node.handles++
    node.truncate(disk.nextSequence(), 0)
    node.write(disk.nextSequence(), Buffer.from(owner), 0)
    return node
  }

  #release(file: FileNode, path: string): void {
    if (this.#dead) throw crashedError(path)
    if (!this.#locks.delete(file.id)) return
    file.truncate(this.#disk.nextSequence(), 0)
    file.handles--
  }

  #freeBytes(): number {
    return this.capacityBytes === Number.POSITIVE_INFINITY ? this.capacityBytes : this.capacityBytes - this.usedBytes
  }

  #fileAt(path: string): FileNode {
    const node = this.#disk.find(path)
    if (node?.kind !== 'file') throw errnoError('ENOENT', 'open', path)
    return node
  }
}

function stat(disk: Disk, path: string): { kind: 'file' | 'directory' | 'other'; size: number } | undefined {
  const node = findIfThere(disk, path)
  return node && { kind: node.kind, size: node.kind === 'file' ? node.size : 0 }
}

function findIfThere(disk: Disk, path: string): ReturnType<Disk['find']> {
  try {
    return disk.find(path)
  } catch (error) {
    // A missing directory on the way: then nothing is there either.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Calls that were under way together may exclude each other; the one that is too late then leaves nothing. */
function leave(what: () => void): void {
  try {
    what()
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error
  }
}

function coin(effect: (disk: Disk) => void): (disk: Disk, random: Random) => void {
  return (disk, random) => {
    if (random.chance(0.5)) effect(disk)
  }
}
