import { PAGE_BYTES, Pages } from './pages.js'
import type { Random } from './random.js'
import type { Survival } from './survival.js'

/** The unit a disk writes whole: after a power cut each one is old or new. */
const SECTOR_BYTES = 512

/** A change the page cache has and the disk need not have. */
type Change =
  | { kind: 'write'; sequence: number; position: number; data: Uint8Array }
  | { kind: 'truncate'; sequence: number; length: number }

/** One file, twice: as the processes see it, and as the disk has it, with the changes in between, in order. */
export class FileNode {
  readonly kind = 'file'
  readonly id: number
  /** Open handles keep an unlinked file and its space. */
  handles = 0
  size = 0
  #cache = new Pages()
  #diskSize = 0
  #disk = new Pages()
  #changes: Change[] = []
  /** Sectors whose write-back failed: the cache shows what the disk does not have, and believes to be clean. */
  #stale = new Set<number>()
  /** Stale sectors in space that was never allocated: ext4 loses them even when they are written and synced again, until cut off. */
  #poisoned = new Set<number>()
  /** A failed write-back that no sync has reported yet. */
  unreportedError = false

  constructor(id: number) {
    this.id = id
  }

  clone(): FileNode {
    const copy = new FileNode(this.id)
    copy.size = this.size
    copy.#cache = this.#cache.clone()
    copy.#diskSize = this.#diskSize
    copy.#disk = this.#disk.clone()
    copy.#changes = this.#changes.slice()
    if (this.#stale.size > 0) copy.#stale = new Set(this.#stale)
    if (this.#poisoned.size > 0) copy.#poisoned = new Set(this.#poisoned)
    copy.unreportedError = this.unreportedError
    return copy
  }

  get unsynced(): readonly number[] {
    return this.#changes.map(change => change.sequence)
  }

  get allocatedBytes(): number {
    return this.#cache.allocated * PAGE_BYTES
  }

  /** How many of `length` bytes from `position` on fit when only `freeBytes` of space are left. */
  fitting(position: number, length: number, freeBytes: number): number {
    let free = Math.floor(freeBytes / PAGE_BYTES)
    const end = position + length
    for (let at = position; at < end; at = (Math.floor(at / PAGE_BYTES) + 1) * PAGE_BYTES) {
      if (!this.#cache.has(Math.floor(at / PAGE_BYTES)) && --free < 0) return at - position
    }
    return length
  }

  /** Returns the number of bytes read. `direct` shows the disk where cache and disk have silently parted. */
  read(target: Uint8Array, offset: number, length: number, position: number, direct: boolean): number {
    const count = Math.max(0, Math.min(length, this.size - position))
    if (count === 0) return 0
    this.#cache.read(target, offset, count, position)
    if (!direct) return count
    for (const sector of this.#stale) {
      const from = Math.max(sector * SECTOR_BYTES, position)
      const to = Math.min((sector + 1) * SECTOR_BYTES, position + count)
      if (from < to) this.#disk.read(target, offset + from - position, to - from, from)
    }
    return count
  }

  write(sequence: number, data: Uint8Array, position: number): void {
    if (data.length === 0) return
    this.#cache.write(data, position)
    this.size = Math.max(this.size, position + data.length)
    this.#changes.push({ kind: 'write', sequence, position, data })
    if (this.#stale.size > 0) for (const sector of sectorsOf(position, data.length)) this.#stale.delete(sector)
  }

  /** As O_DIRECT | O_DSYNC: on disk when it returns, along with every change of the size before it. */
  writeThrough(sequence: number, data: Uint8Array, position: number): void {
    this.#settleSizes()
    this.write(sequence, data, position)
    const end = position + data.length
    // The kernel writes the cached pages of the range back before it goes past them.
    const inRange = (change: Change) =>
      change.kind === 'write' && change.position < end && change.position + change.data.length > position
    for (const change of this.#changes) if (inRange(change)) this.#writeToDisk(change)
    this.#changes = this.#changes.filter(change => !inRange(change))
  }

  truncate(sequence: number, length: number): void {
    this.#cache.zeroFrom(Math.min(length, this.size))
    this.size = length
    this.#changes.push({ kind: 'truncate', sequence, length })
    dropFrom(this.#stale, length)
  }

  /** Makes durable what was changed before call number `before`. */
  sync(before: number): void {
    const [now, later] = split(this.#changes, change => change.sequence < before)
    for (const change of now) this.#writeToDisk(change)
    this.#changes = later
  }

  /**
   * Write-back fails: an arbitrary few of the dirty sectors reach the disk, all of them count as clean, reads go on showing
   * them. Changes of the size are in the journal and stay pending.
   */
  failWriteBack(random: Random): void {
    const [writes, rest] = split(this.#changes, change => change.kind === 'write')
    const survival = random.chance(0.5) ? 0 : random.next()
    const diskSize = this.#diskSize
    for (const change of writes) {
      if (change.kind !== 'write') continue
      for (const sector of sectorsOf(change.position, change.data.length)) {
        if (random.chance(survival)) this.#writeSector(change, sector)
        else this.#lose(sector, diskSize)
      }
    }
    this.#changes = rest
  }

  /** The power goes: the disk keeps what `survival` says, and that is what everybody sees from now on. */
  cut(survival: Survival): void {
    if (this.#changes.length > 0) {
      const size = this.#survivingSize(survival)
      for (const [sector, changes] of this.#changesBySector()) {
        const seen = survival.versions(changes.map(change => change.sequence))
        for (const change of changes.slice(0, seen)) this.#applyToSector(change, sector)
      }
      this.#diskSize = size
      this.#changes = []
    }
    this.#disk.zeroFrom(this.#diskSize)
    this.#stale.clear()
    this.#poisoned.clear()
    this.unreportedError = false
    this.#cache = this.#disk.clone()
    this.size = this.#diskSize
  }

  /** For tests that damage a file: both sides hold exactly these bytes. */
  replace(bytes: Uint8Array): void {
    this.#disk = new Pages()
    this.#disk.write(bytes, 0)
    this.#diskSize = bytes.length
    this.#changes = []
    this.#stale.clear()
    this.#poisoned.clear()
    this.#cache = this.#disk.clone()
    this.size = bytes.length
  }

  #writeToDisk(change: Change): void {
    if (change.kind === 'truncate') {
      this.#disk.zeroFrom(Math.min(change.length, this.#diskSize))
      this.#diskSize = change.length
      dropFrom(this.#poisoned, change.length)
      return
    }
    this.#diskSize = Math.max(this.#diskSize, change.position + change.data.length)
    if (this.#poisoned.size === 0) this.#disk.write(change.data, change.position)
    else this.#writeAroundPoisoned(change)
  }

  #writeAroundPoisoned(change: Change & { kind: 'write' }): void {
    for (const sector of sectorsOf(change.position, change.data.length)) {
      if (this.#poisoned.has(sector)) this.#stale.add(sector)
      else this.#writeSector(change, sector)
    }
  }

  #applyToSector(change: Change, sector: number): void {
    if (change.kind === 'write') this.#writeSector(change, sector)
    else this.#disk.zero(Math.max(change.length, sector * SECTOR_BYTES), (sector + 1) * SECTOR_BYTES)
  }

  #writeSector(change: Change & { kind: 'write' }, sector: number): void {
    const from = Math.max(sector * SECTOR_BYTES, change.position)
    const to = Math.min((sector + 1) * SECTOR_BYTES, change.position + change.data.length)
    this.#disk.write(change.data.subarray(from - change.position, to - change.position), from)
  }

  #lose(sector: number, diskSize: number): void {
    this.#stale.add(sector)
    if (sector * SECTOR_BYTES >= diskSize) this.#poisoned.add(sector)
  }

  /** Every change of the size becomes durable, data in what stays of the file do not. */
  #settleSizes(): void {
    let pending: Change[] = []
    for (const change of this.#changes) {
      if (change.kind === 'truncate') {
        this.#writeToDisk(change)
        pending = pending.flatMap(earlier => clip(earlier, change.length))
      } else pending.push(change)
    }
    this.#changes = pending
  }

  #survivingSize(survival: Survival): number {
    const sizes = [this.#diskSize]
    const sequences: number[] = []
    for (const change of this.#changes) {
      const last = sizes.at(-1) as number
      const next = change.kind === 'truncate' ? change.length : Math.max(last, change.position + change.data.length)
      if (next === last) continue
      sizes.push(next)
      sequences.push(change.sequence)
    }
    return sizes[survival.versions(sequences)] as number
  }

  /** The changes that touch each sector, in order. Poisoned sectors reach the disk no more. */
  #changesBySector(): Map<number, Change[]> {
    const bySector = new Map<number, Change[]>()
    const highest = this.#changes.reduce((end, change) => Math.max(end, endOf(change)), this.#diskSize)
    for (const change of this.#changes) {
      const [from, to] = change.kind === 'write' ? [change.position, endOf(change)] : [change.length, highest]
      for (const sector of sectorsOf(from, to - from)) {
        if (this.#poisoned.has(sector)) continue
        const changes = bySector.get(sector)
        if (changes) changes.push(change)
        else bySector.set(sector, [change])
      }
    }
    return bySector
  }
}

function endOf(change: Change): number {
  return change.kind === 'write' ? change.position + change.data.length : change.length
}

function clip(change: Change, length: number): Change[] {
  if (change.kind === 'truncate' || endOf(change) <= length) return [change]
  if (change.position >= length) return []
  return [{ ...change, data: change.data.subarray(0, length - change.position) }]
}

function* sectorsOf(position: number, length: number): Generator<number> {
  if (length <= 0) return
  const last = Math.floor((position + length - 1) / SECTOR_BYTES)
  for (let sector = Math.floor(position / SECTOR_BYTES); sector <= last; sector++) yield sector
}

function dropFrom(sectors: Set<number>, length: number): void {
  for (const sector of sectors) if ((sector + 1) * SECTOR_BYTES > length) sectors.delete(sector)
}

function split<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  const yes: T[] = []
  const no: T[] = []
  for (const item of items) (test(item) ? yes : no).push(item)
  return [yes, no]
}
