import { resolve } from 'node:path'
import type { Clock } from '../clock.js'
import type { BackupOptions } from '../contract.js'
import { WalError } from '../errors.js'
import { ioError } from '../file-system/io-error.js'
import type { FileSystem } from '../file-system/types.js'
import { writeBackup } from '../segments/backup.js'
import { ScanFailure } from '../segments/scan.js'
import type { StoreSnapshot } from '../segments/snapshot.js'
import type { BackupReport } from '../types.js'
import type { Committer } from './committer.js'
import { scanError } from './read-side.js'
import { closed } from './refusals.js'

/** What is being written now, by any log of this process: two backups with one target would take each other's files away. */
const targets = new WeakMap<FileSystem, Set<string>>()

export interface BackupHost {
  fs: FileSystem
  clock: Clock
  committer: Committer
  /** Keeps retention from every segment until the function it returns is called. */
  pin: () => () => void
}

/** The backups of one log that are under way. */
export class Backups {
  readonly #host: BackupHost
  readonly #running = new Set<Promise<unknown>>()
  #closed = false

  constructor(host: BackupHost) {
    this.#host = host
  }

  write(directory: string, options: BackupOptions = {}): Promise<BackupReport> {
    const running = this.#write(resolve(directory), options)
    const settled: Promise<unknown> = running.then(
      () => this.#running.delete(settled),
      () => this.#running.delete(settled),
    )
    this.#running.add(settled)
    return running
  }

  /** Ends what is under way with WAL_CLOSED. */
  stop(): void {
    this.#closed = true
  }

  /** Resolves once nothing touches the log's files any more. */
  async close(): Promise<void> {
    this.stop()
    await Promise.all(this.#running)
  }

  async #write(target: string, { signal, onProgress }: BackupOptions): Promise<BackupReport> {
    const { fs, clock, committer, pin } = this.#host
    const { directory, format } = committer.store
    const startedAt = clock.monotonic()
    const busy = targets.get(fs) ?? new Set()
    targets.set(fs, busy)
    if (busy.has(target)) throw new WalError('WAL_IO', `Another backup is just being written to ${target}.`)
    busy.add(target)
    const unpin = pin()
    const assertWanted = () => {
      if (this.#closed) throw closed(directory)
      signal?.throwIfAborted()
    }
    try {
      assertWanted()
      const content = await writeBackup({
        fs,
        format,
        source: directory,
        target,
        takeSnapshot: () => snapshotOf(committer),
        assertWanted,
        onProgress: bytes => onProgress?.({ ...bytes, unit: 'bytes' }),
      })
      return { directory: target, ...content, durationMs: clock.monotonic() - startedAt }
    } catch (error) {
      if (error instanceof ScanFailure) throw scanError(error, error.segment.firstIndex)
      throw signal?.aborted && error === signal.reason ? error : ioError('writing the backup', target, error)
    } finally {
      unpin()
      busy.delete(target)
    }
  }
}

/** The log's files as they stand between two commits, or, while the log is paused, behind the last one. */
async function snapshotOf(committer: Committer): Promise<StoreSnapshot> {
  let taken: StoreSnapshot | undefined
  const take = () => {
    taken = committer.store.snapshot(committer.syncedIndex)
    return Promise.resolve()
  }
  await (committer.status === 'paused' ? take() : committer.between(take))
  return taken!
}
