import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../clock.js'
import type { LogStatus } from '../contract.js'
import { WalError } from '../errors.js'
import { isFileTooBig, isNoSpace } from '../file-system/errno.js'
import type { SyncPolicy } from '../options.js'
import { PublishDeclined } from '../segments/publish.js'
import type { Segment, SegmentEnd } from '../segments/segment.js'
import type { SegmentStore } from '../segments/segment-store.js'
import type { Admission } from './admission.js'
import type { Announcer } from './announcer.js'
import { releaseArena } from './arena.js'
import { Backlog } from './backlog.js'
import { deferred } from './deferred.js'
import type { PendingCommit } from './pending-commit.js'
import { CommitStatistics } from './statistics.js'
import { SyncFailure } from './sync-failure.js'
import { isTask, type Task, type Work, writtenTogether } from './work.js'

export interface CommitterParts {
  store: SegmentStore
  clock: Clock
  sync: SyncPolicy
  highWaterMark: number
  announcer: Announcer
  /** Called when a commit counts, before its waiters are told. `start` is its offset in the active segment. */
  onCommitted: (commit: PendingCommit, start: number) => void
  /** Called when a segment was sealed because the next one took its place. */
  onSealed: (sealed: Segment) => void
  /** Called when readers must look again: something was committed or removed, or the log left service. */
  onChange: () => void
}

/**
 * The one place where the log is written. A queue of commits and of what must happen between them; one thing at a time, in the
 * order it was asked for. While a commit is being written the next one fills. It alone decides what counts as committed and as
 * durable, and what a failed call means for the log.
 */
export class Committer {
  readonly store: SegmentStore
  readonly #parts: CommitterParts
  readonly #queue: Work[] = []
  #admission!: Admission
  #status: LogStatus = 'open'
  /** Why the log is paused or failed. */
  #error: WalError | undefined
  #running = false
  #scheduled = false
  #committedIndex: number
  #durableIndex: number
  /** While truncations are queued nothing above any of them counts as committed. */
  #ceilings: number[] = []
  readonly backlog: Backlog
  #syncTimer: (() => void) | undefined
  #backgroundSync: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #resuming: Promise<void> | undefined
  readonly statistics = new CommitStatistics()

  constructor(parts: CommitterParts) {
    this.#parts = parts
    this.store = parts.store
    this.backlog = new Backlog(parts.highWaterMark, () => parts.announcer.announce('drain'))
    this.#committedIndex = this.#durableIndex = parts.store.active.lastIndex
  }

  /** The two know each other: the admission lays out what the committer writes. */
  attach(admission: Admission): void {
    this.#admission = admission
  }

  get status(): LogStatus {
    return this.#status
  }

  get lastIndex(): number {
    return this.#admission.lastIndex
  }

  get committedIndex(): number {
    return this.#ceilings.length === 0 ? this.#committedIndex : Math.min(this.#committedIndex, ...this.#ceilings)
  }

  get durableIndex(): number {
    return this.#ceilings.length === 0 ? this.#durableIndex : Math.min(this.#durableIndex, ...this.#ceilings)
  }

  /** As `durableIndex`, also while a truncation that is queued has lowered that one already. */
  get syncedIndex(): number {
    return this.#durableIndex
  }

  /** The error that keeps readers from what lies beyond the durable entries; undefined while there is none. */
  get failure(): WalError | undefined {
    return this.#status === 'failed' || (this.#status === 'closed' && this.#error?.code === 'WAL_FAILED')
      ? this.#error
      : undefined
  }

  /** Throws what an append gets in this status. */
  assertAccepting(): void {
    if (this.#status === 'open') return
    throw this.#refusal()
  }

  /** Queues a commit that the admission has opened. */
  enqueue(commit: PendingCommit): void {
    this.#queue.push(commit)
    this.#schedule()
  }

  /** The commit that holds an index accepted and not committed: the last one, for a truncation may have given the index out again. */
  pendingCommitOf(index: number): PendingCommit | undefined {
    return this.#queue.findLast(
      (work): work is PendingCommit => !isTask(work) && work.firstIndex <= index && index <= work.lastIndex,
    )
  }

  /** Resolves at half the high-water mark, never while paused. */
  drained(): Promise<void> {
    if (this.#status !== 'open' && this.#status !== 'paused') return Promise.reject(this.#refusal())
    if (this.#status === 'open' && !this.backlog.isAboveMark) return Promise.resolve()
    return this.backlog.wait()
  }

  /** Runs `run` after everything accepted so far is committed and before what comes later. */
  between(run: () => Promise<void>): Promise<void> {
    if (this.#status === 'closed' || this.#status === 'failed') return Promise.reject(this.#refusal())
    this.#admission.cut()
    const task: Task = { kind: 'task', run, done: deferred() }
    this.#queue.push(task)
    this.#schedule()
    return task.done.promise
  }

  /** As `between`, but also while paused, ahead of what is held; then tries to go on. */
  async evenPaused(run: () => Promise<void>): Promise<void> {
    if (this.#status !== 'paused') return this.between(run)
    try {
      await run()
    } catch (error) {
      throw this.#fail(error, 'writing')
    }
    await this.resume().catch(() => undefined) // Still paused: whoever holds entries hears of it when they settle.
  }

  /** Makes everything committed so far durable. For tasks. */
  async syncCommitted(): Promise<void> {
    await this.#backgroundSync
    if (this.#durableIndex < this.#committedIndex) await this.#sync()
  }

  /** Everything accepted before the call is on stable storage once this resolves. */
  sync(): Promise<void> {
    if (this.#status === 'open' && this.#queue.length === 0 && this.#durableIndex === this.#committedIndex)
      return Promise.resolve()
    return this.between(() => this.syncCommitted())
  }

  async rotate(): Promise<{ sealed: Segment; opened: Segment } | undefined> {
    if (this.store.active.isEmpty) return undefined
    await this.#backgroundSync
    const rotated = await this.#timed(() => this.store.rotate())
    this.#durableIndex = this.#committedIndex
    this.statistics.rotated()
    this.#parts.onSealed(rotated.sealed)
    this.#parts.announcer.announce('rotate', { sealed: rotated.sealed.info(), opened: rotated.opened.info() })
    return rotated
  }

  /**
   * From now on the log ends at `index`, and nothing above `kept` was ever accepted (less than `index` when the log is emptied);
   * `run` makes it so on disk.
   */
  takeBack({ index, kept }: { index: number; kept: number }, run: () => Promise<void>): Promise<void> {
    const reason = new WalError('WAL_TRUNCATED', `The entries above ${kept} were removed by truncateAfter or reset.`, {
      lost: 'after',
      firstIndex: kept + 1,
      lastIndex: this.lastIndex,
    })
    for (const work of this.#queue) if (!isTask(work)) work.rejectAbove(kept, reason)
    this.#ceilings.push(index)
    this.#admission.lastIndex = index
    const done = this.between(async () => {
      await this.#backgroundSync
      await run()
      this.#committedIndex = this.#durableIndex = index
      this.#ceilings.shift()
    })
    this.#admission.startedSegment()
    this.#parts.onChange()
    return done
  }

  /** One try to go on after a pause. Rejects with WAL_NO_SPACE when there still is none. */
  resume(): Promise<void> {
    if (this.#status !== 'paused') return Promise.resolve()
    this.#resuming ??= this.#resume().finally(() => {
      this.#resuming = undefined
    })
    return this.#resuming
  }

  async #resume(): Promise<void> {
    const held = this.#error
    try {
      await this.store.cutUnfinished()
    } catch (error) {
      throw this.#fail(error, 'cutting off an unfinished commit')
    }
    await this.#run()
    if ((this.#status as LogStatus) === 'paused') throw this.#error ?? held
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  // ---- the queue

  #schedule(): void {
    if (this.#running || this.#scheduled || this.#status === 'paused') return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      void this.#run()
    })
  }

  /** Works the queue off until it is empty or the log cannot go on. Never rejects. */
  async #run(): Promise<void> {
    if (this.#running) return
    this.#running = true
    while (this.#queue.length > 0 && this.#status !== 'failed') {
      const work = this.#queue[0]!
      const outcome = isTask(work) ? await this.#runTask(work) : await this.#commit(work)
      if (outcome === 'paused') break
      if (this.#queue[0] === work) this.#queue.shift()
      // Those who were just told may append at once: let them join the commit that is filling.
      if (this.#queue[0] !== undefined && this.#queue[0] === this.#admission.filling) await nextTurn()
    }
    this.#running = false
  }

  async #runTask(task: Task): Promise<'done' | 'paused'> {
    try {
      await task.run()
      this.#resumed()
      task.done.resolve()
    } catch (error) {
      const cause = error instanceof PublishDeclined ? error.cause : error
      if (error instanceof PublishDeclined && isNoSpace(cause)) return this.#pause(cause)
      task.done.reject(error instanceof WalError ? error : this.#fail(cause, 'writing'))
    }
    return 'done'
  }

  /** Commits the head of the queue. Takes out of the queue what it settles. */
  async #commit(head: PendingCommit): Promise<'done' | 'paused'> {
    if (head === this.#admission.filling) this.#admission.cut()
    const commits = writtenTogether(head, this.#queue, this.#admission.filling)
    const ends = await this.#write(commits)
    if (ends === 'paused') return 'paused'
    if (ends === 'failed') return 'done'
    commits.forEach((commit, i) => {
      this.store.advance(ends[i]!)
      this.#settle(commit, ends[i]!.commitOffset)
      if (this.#queue[0] === commit) this.#queue.shift()
    })
    return 'done'
  }

  /** Writes commits and, where the policy asks, syncs them. Returns the end that each makes. */
  async #write(commits: readonly PendingCommit[]): Promise<SegmentEnd[] | 'paused' | 'failed'> {
    let ends: SegmentEnd[]
    try {
      if (this.store.isBackup) await this.#timed(() => this.store.leaveBackup())
      else if (commits[0]!.rotateBefore) await this.#rotateOrGoOn()
      ends = await this.#writeOrRotate(commits)
    } catch (error) {
      const cause = error instanceof PublishDeclined ? error.cause : error
      if (isNoSpace(cause)) return this.#pause(cause)
      this.#fail(cause, 'writing')
      return 'failed'
    }
    try {
      if (this.#parts.sync.kind === 'always') await this.#timed(() => this.store.sync(ends.at(-1)!.offset))
    } catch (error) {
      this.#fail(error, 'syncing')
    }
    // A sync in the background may have failed meanwhile: then this one does not count either.
    return this.#status === 'failed' ? 'failed' : ends
  }

  /** A segment's limit is soft: where no new one can be had, the log goes on in the old one and tries again later. */
  async #rotateOrGoOn(): Promise<void> {
    try {
      await this.rotate()
    } catch (error) {
      if (!(error instanceof PublishDeclined)) throw new SyncFailure(error)
      this.#admission.rotate()
    }
  }

  /** A file that may not grow is not a full disk: another file may have room. */
  async #writeOrRotate(commits: readonly PendingCommit[]): Promise<SegmentEnd[]> {
    try {
      return await this.store.write(commits)
    } catch (error) {
      if (!isFileTooBig(error) || this.store.active.isEmpty) throw error
      await this.store.cutUnfinished()
      try {
        await this.rotate()
      } catch (rotation) {
        throw rotation instanceof PublishDeclined ? error : new SyncFailure(rotation)
      }
      return this.store.write(commits)
    }
  }

  #settle(commit: PendingCommit, start: number): void {
    const bytes = commit.end - commit.start
    this.#resumed()
    this.#committedIndex = commit.lastIndex
    if (this.#parts.sync.kind === 'always') this.#setDurable(commit.lastIndex)
    else if (this.#parts.sync.kind === 'interval') this.#syncLater(this.#parts.sync.intervalMs)
    this.backlog.remove(bytes, commit.count)
    this.statistics.committed(commit.count, bytes, this.#parts.clock.monotonic() - commit.acceptedAt)
    this.#parts.onCommitted(commit, start)
    releaseArena(commit.memory)
    commit.resolve()
    if (this.#status !== 'paused') this.backlog.settle()
    this.#parts.onChange()
    this.#parts.announcer.announce('commit', { firstIndex: commit.firstIndex, lastIndex: commit.lastIndex, bytes })
  }

  // ---- durability

  #setDurable(index: number): void {
    if (index <= this.#durableIndex) return
    this.#durableIndex = index
    void this.store.publishMark(index, false)
  }

  async #sync(): Promise<void> {
    const index = this.#committedIndex
    await this.#timed(() => this.store.sync())
    this.#setDurable(index)
  }

  async #timed<T>(call: () => Promise<T>): Promise<T> {
    const { clock, announcer } = this.#parts
    const before = clock.monotonic()
    try {
      const result = await call()
      const durationMs = clock.monotonic() - before
      this.statistics.synced(durationMs)
      announcer.publish('sync', { durationMs })
      return result
    } catch (error) {
      throw error instanceof PublishDeclined ? error : new SyncFailure(error)
    }
  }

  #syncLater(intervalMs: number): void {
    this.#syncTimer ??= this.#parts.clock.setTimer(() => {
      this.#syncTimer = undefined
      this.#backgroundSync ??= this.#syncInBackground()
    }, intervalMs)
  }

  /** Runs beside the commits; what must not overlap with it waits for it. Never rejects. */
  async #syncInBackground(): Promise<void> {
    try {
      if (this.#status === 'open' || this.#status === 'paused') await this.#sync()
    } catch (error) {
      this.#fail(error, 'syncing')
    } finally {
      this.#backgroundSync = undefined
    }
  }

  // ---- trouble

  /** No space for a write: what was accepted stays in memory under its indexes until `resume()`. */
  #pause(error: unknown): 'paused' {
    const cause = error instanceof SyncFailure ? error.cause : error
    const message = `There is no space for ${this.store.directory}; ${this.backlog.entries} entries wait in memory. Free some, then call resume().`
    this.#error = new WalError('WAL_NO_SPACE', message, { cause })
    if (this.#status === 'open') {
      this.#status = 'paused'
      this.#parts.announcer.announce('pause', { error: this.#error })
    }
    return 'paused'
  }

  /** Something was written: before anybody is told, who may append at once. */
  #resumed(): void {
    if (this.#status !== 'paused') return
    this.#status = 'open'
    this.#error = undefined
    this.#parts.announcer.announce('resume')
    this.backlog.settle()
  }

  /** A write or a sync failed: what of it is on disk nobody can know, so nothing more is written. Returns the error all get. */
  #fail(error: unknown, doing: string): WalError {
    if (this.#status === 'failed' || this.#status === 'closed') return this.#error ?? this.#refusal()
    const cause = error instanceof SyncFailure ? error.cause : error
    const what = cause instanceof Error ? cause.message : String(cause)
    const message = `${what} while ${doing} in ${this.store.directory}. Which of the last entries were stored is unknown: close the log, open it again and look at lastIndex.`
    const failure = new WalError('WAL_FAILED', message, { cause })
    this.#error = failure
    this.#status = 'failed'
    this.#committedIndex = this.#durableIndex
    this.#admission.cut()
    this.#admission.lastIndex = this.durableIndex
    this.#rejectAll(failure)
    this.#parts.announcer.announce('fail', { error: failure })
    this.#parts.onChange()
    return failure
  }

  #rejectAll(reason: WalError): void {
    const works = this.#queue.splice(0)
    this.backlog.clear()
    for (const work of works) {
      if (isTask(work)) work.done.reject(reason)
      else work.reject(reason)
    }
    this.backlog.rejectWaiters(reason)
  }

  #refusal(): WalError {
    if (this.#error !== undefined && this.#status !== 'closed' && this.#status !== 'closing') return this.#error
    return new WalError('WAL_CLOSED', `The log in ${this.store.directory} is closed.`)
  }

  // ---- close

  async #close(): Promise<void> {
    const failed = this.#status === 'failed'
    if (this.#status === 'paused') await this.#giveUpHeld()
    if (this.#status === 'open') this.#status = 'closing'
    this.backlog.rejectWaiters(this.#refusal())
    this.#syncTimer?.()
    let error: WalError | undefined
    if (!failed) error = await this.#finalSync()
    await this.#backgroundSync
    const clean = (this.#status as LogStatus) !== 'failed'
    if (clean) await this.store.publishMark(this.#durableIndex, true)
    try {
      await this.store.close(clean)
    } catch (cause) {
      error ??= this.#fail(cause, 'closing')
    }
    this.#status = 'closed'
    this.#parts.onChange()
    if (error !== undefined) throw error
  }

  async #finalSync(): Promise<WalError | undefined> {
    try {
      await this.between(() => this.syncCommitted())
      return undefined
    } catch (error) {
      return error instanceof WalError ? error : this.#fail(error, 'syncing')
    }
  }

  /** What a paused log holds is not stored: those who wait are told, and the half-written commit goes. */
  async #giveUpHeld(): Promise<void> {
    const error = this.#error!
    this.#status = 'closing'
    this.#admission.cut()
    this.#admission.lastIndex = this.#committedIndex
    this.#ceilings = []
    this.#rejectAll(error)
    try {
      await this.store.cutUnfinished()
    } catch (cause) {
      this.#fail(cause, 'cutting off an unfinished commit')
    }
  }
}
