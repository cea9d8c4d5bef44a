import type { Clock } from '../clock.js'
import type { LogHistory, LogReader } from '../contract.js'
import { WalError } from '../errors.js'
import type { FileSystem } from '../file-system/types.js'
import { CheckpointFile, readCheckpoint } from './checkpoint-file.js'
import { lossAt, type Position, positionAt } from './position.js'

export interface CheckpointParts {
  log: LogReader<unknown>
  history: LogHistory
  fs: FileSystem
  clock: Clock
  path: string
  /** Called when a position has been noted: what waits for it may go on. */
  onNoted: () => void
  /** Called when a position is on stable storage. */
  onStored: (index: number) => void
}

/** When a noted position has to be stored. */
export interface StoreTerms {
  /** At the latest this long after it was noted, in milliseconds. */
  withinMs: number
  /** Somebody waits for it: the process stays alive until then. */
  keepAlive: boolean
}

interface Waiter {
  note: number
  resolve: () => void
  reject: (error: unknown) => void
}

/**
 * How far a consumer has come: noted in memory with every step, stored now and then. What is stored is never above what is durable
 * in the log, so that no crash leaves a checkpoint ahead of it.
 */
export class Checkpoint {
  readonly path: string
  readonly #parts: CheckpointParts
  readonly #file: CheckpointFile
  #noted: Position | undefined
  #stored: Position | undefined
  /** Why what was found in the file cannot be used; until a position is set by `move`. */
  #problem: WalError | undefined
  /** Why the last attempt to store failed. */
  #failure: unknown
  /** How many positions were noted: tells apart those who wait for them. */
  #notes = 0
  #waiters: Waiter[] = []
  #cancelTimer: (() => void) | undefined
  #timerKeepsAlive = false
  #storing: Promise<void> | undefined
  #lastStoreAt = -Infinity
  /** The log is closed: another process may have it by now, so nothing is stored any more. */
  #ended = false

  constructor(parts: CheckpointParts) {
    this.#parts = parts
    this.path = parts.path
    const { logId } = parts.history
    const found = readCheckpoint(parts.fs, parts.path)
    if (found.kind === 'unusable') this.#problem = found.error
    else if (found.kind === 'ok' && found.logId !== logId) this.#problem = ofAnotherLog(parts.path)
    else if (found.kind === 'ok') this.#noted = this.#stored = found.position
    this.#file = new CheckpointFile(parts.fs, parts.path, { logId, replace: this.#problem !== undefined })
  }

  /** The last position noted, stored or not. */
  get noted(): Position | undefined {
    return this.#noted
  }

  get stored(): Position | undefined {
    return this.#stored
  }

  get problem(): WalError | undefined {
    return this.#problem
  }

  get failure(): unknown {
    return this.#failure
  }

  /** Notes that everything up to this position is processed. A position below the last one changes nothing. */
  advance(position: Position, terms: StoreTerms): void {
    if (this.#noted === undefined || position.index > this.#noted.index) this.move(position, terms)
  }

  /** As `advance`, also backwards: for what the user has asked for. */
  move(position: Position, terms: StoreTerms): void {
    // What a later version has written is not ours to overwrite.
    if (this.#problem?.code === 'WAL_UNSUPPORTED_VERSION') throw this.#problem
    this.#noted = position
    this.#problem = undefined
    this.#notes++
    this.#schedule(terms)
    this.#parts.onNoted()
  }

  /** Resolves once what is noted now is stored, or something noted later. Rejects when the attempt to store it fails. */
  whenStored(terms: StoreTerms): Promise<void> {
    if (this.#isStored) return Promise.resolve()
    if (this.#ended)
      return Promise.reject(new WalError('WAL_CLOSED', `The log is closed; ${this.path} stays as it is.`))
    this.#schedule(terms)
    return new Promise((resolve, reject) => this.#waiters.push({ note: this.#notes, resolve, reject }))
  }

  /** Stores what is noted, now. */
  async flush(): Promise<void> {
    if (this.#ended) return
    this.#stopTimer()
    await this.#storing?.catch(() => undefined) // What is noted by now is tried again.
    while (!this.#isStored) await this.#store()
  }

  /** Forgets the position and removes it from the disk. */
  async remove(): Promise<void> {
    this.#stopTimer()
    await this.#storing?.catch(() => undefined) // Those who wait for it have been told.
    await this.#file.remove()
    this.#noted = this.#stored = this.#problem = this.#failure = undefined
    const error = new WalError('WAL_CLOSED', `The consumer was deleted, and ${this.path} with it.`)
    this.#settle(this.#notes, waiter => waiter.reject(error))
  }

  /** Stores what is noted and lets go of the file; a later note opens it again. */
  async close(): Promise<void> {
    try {
      await this.flush()
    } finally {
      await this.#file.close()
    }
  }

  /** As `close`, for good, while the log is being closed. Of what a failed log has lost nothing is stored. */
  async end(): Promise<void> {
    const { durableIndex } = this.#parts.log
    const { epochs } = this.#parts.history
    if (this.#noted !== undefined && this.#noted.index > durableIndex && lossAt(this.#noted, epochs) === undefined)
      this.#noted = this.#latestOf(positionAt(durableIndex, epochs), this.#stored)
    try {
      await this.close()
    } finally {
      this.#ended = true
      this.#stopTimer()
    }
  }

  #latestOf(a: Position, b: Position | undefined): Position {
    return b === undefined || a.index > b.index ? a : b
  }

  get #isStored(): boolean {
    return this.#noted === this.#stored
  }

  /** The first store after a while is made at once, those that follow soon are gathered. */
  #schedule({ withinMs, keepAlive }: StoreTerms): void {
    if (this.#ended || (this.#cancelTimer !== undefined && (this.#timerKeepsAlive || !keepAlive))) return
    this.#stopTimer()
    const { clock } = this.#parts
    const delayMs = Math.min(withinMs, Math.max(0, this.#lastStoreAt + withinMs - clock.monotonic()))
    this.#timerKeepsAlive = keepAlive
    const store = () => {
      this.#cancelTimer = undefined
      this.#store().catch(() => undefined) // Those who wait for it are told; `failure` keeps it for the rest.
    }
    this.#cancelTimer = clock.setTimer(store, delayMs, { keepAlive })
  }

  #stopTimer(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  /** One attempt at a time; whoever comes while one is under way gets one of their own. */
  async #store(): Promise<void> {
    while (this.#storing !== undefined) await this.#storing.catch(() => undefined) // Its own waiters are told.
    if (this.#isStored) return
    this.#storing = this.#storeNoted().finally(() => {
      this.#storing = undefined
    })
    await this.#storing
  }

  async #storeNoted(): Promise<void> {
    const position = this.#noted!
    const note = this.#notes
    this.#lastStoreAt = this.#parts.clock.monotonic()
    try {
      await this.#untilDurable(position)
      await this.#file.store(position)
    } catch (error) {
      this.#failure = error
      this.#settle(note, waiter => waiter.reject(error))
      throw error
    }
    this.#failure = undefined
    this.#stored = position
    this.#settle(note, waiter => waiter.resolve())
    this.#parts.onStored(position.index)
  }

  /**
   * What was taken back meanwhile will never be durable. Its position is stored all the same: then the consumer is told of the loss
   * also after a restart.
   */
  async #untilDurable(position: Position): Promise<void> {
    const { log } = this.#parts
    try {
      await log.durable(position.index)
    } catch (error) {
      const { code } = error as WalError
      if (code !== 'WAL_TRUNCATED' && code !== 'WAL_INDEX_OUT_OF_RANGE') throw error
    }
  }

  #settle(note: number, settle: (waiter: Waiter) => void): void {
    const due = this.#waiters.filter(waiter => waiter.note <= note)
    this.#waiters = this.#waiters.filter(waiter => waiter.note > note)
    for (const waiter of due) settle(waiter)
  }
}

function ofAnotherLog(path: string): WalError {
  const message = `The checkpoint in ${path} is that of another log. Give the consumer another name or directory, or seek() to where it shall go on.`
  return new WalError('WAL_MISMATCH', message)
}
