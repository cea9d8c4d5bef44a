import { basename, dirname } from 'node:path'
import type { Format } from '../codec/format.js'
import { encodeManifest, MANIFEST_MAGIC } from '../codec/manifest.js'
import { WalError } from '../errors.js'
import { isMissing } from '../file-system/errno.js'
import { readFully, writeFully } from '../file-system/transfer.js'
import { TwoSlotFile } from '../file-system/two-slot-file.js'
import type { File, FileSystem } from '../file-system/types.js'
import { CONSUMERS_NAME, LOCK_NAME, MANIFEST_NAME, NEW_MANIFEST_NAME, parseSegmentName } from './name.js'
import { walkToIndex } from './scan.js'
import { emptyEnd, type Segment, type SegmentEnd } from './segment.js'
import { floorAt } from './segment-store.js'
import type { StoreSnapshot } from './snapshot.js'
import { drive, WINDOW_BYTES } from './window.js'

export interface BackupJob {
  fs: FileSystem
  format: Format
  /** The log's directory. */
  source: string
  /** Where the backup is to be. */
  target: string
  takeSnapshot: () => Promise<StoreSnapshot>
  /** Called often; what it throws ends the backup. */
  assertWanted: () => void
  onProgress: (bytes: { done: number; total: number }) => void
}

export interface BackupContent {
  firstIndex: number
  lastIndex: number
  bytes: number
  linkedSegments: number
  copiedSegments: number
}

/**
 * Writes a copy of a live log that opens as a log of its own. Everything is made under `<target>.tmp` and gets its name by one rename
 * at the end, so what a crash leaves under the target's name is a whole backup or nothing. Checkpoints come before the log, so that
 * none lies beyond it; the manifest comes last.
 */
export async function writeBackup(job: BackupJob): Promise<BackupContent> {
  const { fs, target } = job
  const temporary = `${target}.tmp`
  await assertVacant(fs, target)
  await clearUnfinished(fs, temporary)
  try {
    if ((await fs.stat(temporary)) === undefined) await fs.createDirectory(temporary)
    await copyCheckpoints(job, temporary)
    const snapshot = await job.takeSnapshot()
    const content = await new SegmentTransfer(job, temporary, snapshot).run()
    job.assertWanted()
    await fs.syncDirectory(temporary)
    await fs.rename(temporary, target)
    await fs.syncDirectory(dirname(target))
    return content
  } catch (error) {
    await discard(fs, temporary)
    throw error
  }
}

async function assertVacant(fs: FileSystem, target: string): Promise<void> {
  const parent = dirname(target)
  if ((await fs.stat(parent)) === undefined) {
    throw new WalError(
      'WAL_IO',
      `There is no directory ${parent} to write the backup ${basename(target)} into. Create it first.`,
    )
  }
  if ((await fs.stat(target)) === undefined) return
  throw new WalError(
    'WAL_IO',
    `${target} is there already. A backup is written into a new directory: give another path.`,
  )
}

/** Empties what an earlier, interrupted backup left. Throws WAL_IO, with nothing changed, for a directory that is something else. */
async function clearUnfinished(fs: FileSystem, temporary: string): Promise<void> {
  if ((await fs.stat(temporary)) === undefined) return
  const names = await fs.list(temporary)
  const foreign = names.find(name => !isOurs(name))
  if (foreign !== undefined) {
    const message = `${temporary} is in the way: it holds ${foreign}, which no unfinished backup does. Move it away.`
    throw new WalError('WAL_IO', message)
  }
  await empty(fs, temporary, names)
}

/** A lock is left by whoever tried to open it. A mark is not ours: it says that somebody did, and may have written there. */
const OURS: readonly string[] = [MANIFEST_NAME, NEW_MANIFEST_NAME, CONSUMERS_NAME, LOCK_NAME]

function isOurs(name: string): boolean {
  return OURS.includes(name) || parseSegmentName(name) !== undefined
}

async function empty(fs: FileSystem, temporary: string, names: readonly string[]): Promise<void> {
  const consumers = `${temporary}/${CONSUMERS_NAME}`
  for (const name of names) {
    if (name !== CONSUMERS_NAME) await fs.unlink(`${temporary}/${name}`)
    else for (const checkpoint of await fs.list(consumers)) await fs.unlink(`${consumers}/${checkpoint}`)
  }
}

/** Leaves as little as possible of a backup that failed; what stays is cleared by the next one. */
async function discard(fs: FileSystem, temporary: string): Promise<void> {
  try {
    const names = await fs.list(temporary)
    await empty(fs, temporary, names)
    if (names.includes(CONSUMERS_NAME)) await fs.removeDirectory?.(`${temporary}/${CONSUMERS_NAME}`)
    await fs.removeDirectory?.(temporary)
  } catch {
    // The reason of the failure is what the caller has to hear.
  }
}

async function copyCheckpoints({ fs, source, assertWanted }: BackupJob, temporary: string): Promise<void> {
  const from = `${source}/${CONSUMERS_NAME}`
  if ((await fs.stat(from))?.kind !== 'directory') return
  const to = `${temporary}/${CONSUMERS_NAME}`
  if ((await fs.stat(to)) === undefined) await fs.createDirectory(to)
  for (const name of await fs.list(from)) {
    assertWanted()
    const found = await fs.stat(`${from}/${name}`)
    if (found?.kind !== 'file' || name.startsWith('.')) continue
    // A checkpoint is written over in one of its two slots at a time, so a copy taken meanwhile still has the other one.
    await copyFile(fs, { from: `${from}/${name}`, to: `${to}/${name}`, bytes: found.size, onCopied: () => undefined })
  }
  await fs.syncDirectory(to)
}

class SegmentTransfer {
  readonly #job: BackupJob
  readonly #temporary: string
  readonly #snapshot: StoreSnapshot
  #done = 0
  #total = 0

  constructor(job: BackupJob, temporary: string, snapshot: StoreSnapshot) {
    this.#job = job
    this.#temporary = temporary
    this.#snapshot = snapshot
  }

  async run(): Promise<BackupContent> {
    const { fs } = this.#job
    const { segments, manifest } = this.#snapshot
    const sealed = segments.slice(0, -1)
    const active = segments.at(-1)!
    const end = await this.#endOf(active)
    this.#total = end.offset
    for (const segment of sealed) this.#total += segment.end.offset
    let linkedSegments = 0
    for (const segment of sealed) {
      if (await this.#link(segment)) linkedSegments++
      else await this.#copy(segment, segment.end.offset)
    }
    await this.#copy(active, end.offset)
    const floor = floorAt(active.id, end)
    const content = encodeManifest({ ...manifest, newestId: active.id, floor, closed: true, backup: true })
    const file = await TwoSlotFile.publish(fs, `${this.#temporary}/${MANIFEST_NAME}`, MANIFEST_MAGIC, content)
    await file.close()
    const copiedSegments = segments.length - linkedSegments
    return {
      firstIndex: manifest.firstIndex,
      lastIndex: end.lastIndex,
      bytes: this.#total,
      linkedSegments,
      copiedSegments,
    }
  }

  /** Where the active segment ends in the backup: behind the commit of the last durable entry. Verifies it up to there. */
  async #endOf(active: Segment): Promise<SegmentEnd> {
    const { durableIndex } = this.#snapshot
    if (durableIndex < active.firstIndex) return emptyEnd(active.header, active.contentStart)
    return this.#reading(active, async file => {
      const end = await drive(file, walkToIndex(this.#job.format, active, durableIndex))
      return { ...active.end, ...end, lastIndex: durableIndex }
    })
  }

  /** A second name for a file that nobody will ever write again; false where the file system cannot give it one there. */
  async #link(segment: Segment): Promise<boolean> {
    const { fs, assertWanted } = this.#job
    assertWanted()
    const found = await fs.stat(segment.path)
    if (found === undefined) throw removedMeanwhile(segment)
    assertLength(segment, found.size)
    try {
      await fs.link(segment.path, this.#pathOf(segment))
    } catch (error) {
      if (isMissing(error)) throw removedMeanwhile(segment)
      return false
    }
    this.#advance(segment.end.offset)
    return true
  }

  async #copy(segment: Segment, bytes: number): Promise<void> {
    const { fs } = this.#job
    const onCopied = (count: number) => {
      this.#job.assertWanted()
      this.#advance(count)
    }
    try {
      await copyFile(fs, { from: segment.path, to: this.#pathOf(segment), bytes, onCopied })
    } catch (error) {
      throw isMissing(error) ? removedMeanwhile(segment) : error
    }
  }

  async #reading<R>(segment: Segment, read: (file: File) => Promise<R>): Promise<R> {
    try {
      const file = await this.#job.fs.open(segment.path, 'read')
      return await read(file).finally(() => file.close())
    } catch (error) {
      throw isMissing(error) ? removedMeanwhile(segment) : error
    }
  }

  #pathOf(segment: Segment): string {
    return `${this.#temporary}/${basename(segment.path)}`
  }

  #advance(bytes: number): void {
    this.#done += bytes
    this.#job.onProgress({ done: this.#done, total: this.#total })
  }
}

interface Copy {
  from: string
  to: string
  bytes: number
  onCopied: (bytes: number) => void
}

/** Copies the first `bytes` of a file and makes them durable under the new name's file. */
async function copyFile(fs: FileSystem, { from, to, bytes, onCopied }: Copy): Promise<void> {
  const source = await fs.open(from, 'read')
  try {
    const target = await fs.open(to, 'create')
    try {
      const buffer = Buffer.allocUnsafe(Math.min(WINDOW_BYTES, Math.max(bytes, 1)))
      for (let done = 0; done < bytes; ) {
        const count = await readFully(source, buffer, Math.min(buffer.length, bytes - done), done)
        if (count === 0) throw tooShort(from, done, bytes)
        await writeFully(target, buffer.subarray(0, count), done)
        done += count
        onCopied(count)
      }
      await target.sync()
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

function assertLength(segment: Segment, size: number): void {
  if (size < segment.end.offset) throw tooShort(segment.path, size, segment.end.offset)
}

function tooShort(path: string, size: number, expected: number): WalError {
  const message = `${path} has ${size} bytes, but ${expected} belong to the log. Restore the file, or see verifyWal and repairWal.`
  return new WalError('WAL_CORRUPT', message, { kind: 'corrupt', segment: path, offset: size })
}

function removedMeanwhile(segment: Segment): WalError {
  const { path, firstIndex, lastIndex } = segment
  const message = `${path} was removed by a truncation while the backup was written. Start the backup again.`
  return new WalError('WAL_TRUNCATED', message, { segment: path, firstIndex, lastIndex })
}
