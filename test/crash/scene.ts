import { setImmediate as nextTurn } from 'node:timers/promises'
import { text } from '../../src/codec/encoding.js'
import { WalError } from '../../src/errors.js'
import type { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import type { SimulatedOperation } from '../../src/file-system/simulation/operation.js'
import { Random } from '../../src/file-system/simulation/random.js'
import type { FileSystem } from '../../src/file-system/types.js'
import type { Tuning } from '../../src/log/tuning.js'
import { openWith } from '../../src/open.js'
import type { Encoding, IndexRange, Trigger, Wal, WalOptions } from '../../src/types.js'
import { ManualClock } from '../helpers/manual-clock.js'
import { withThread } from '../helpers/simulated-thread.js'
import { type Backup, type Change, isSame, type LogState, nextIndexOf, type Oracle, type Stored } from './oracle.js'
import { Violation } from './violation.js'

export const DIRECTORY = '/log'
/** Turns of the event loop after which what still waits waits for ever: nothing in a scene needs real time. */
const PATIENCE_TURNS = 5000
/** Sizes of data that begin, end and tear in different places of a sector. */
const SIZES = [0, 1, 8, 40, 100, 400, 700, 1500, 4200]

/** So small that commits are written together, and zeros ahead, within a few entries. */
const TUNING: Tuning = { commitMaxBytes: 2000, zeroAhead: { afterBytes: 1000, maxBytes: 8192 } }

/** Nothing was done, and can be tried again. */
const TOLD: ReadonlySet<string> = new Set(['WAL_IO', 'WAL_NO_SPACE'])

export interface SceneParts {
  fs: SimulatedFileSystem
  oracle: Oracle
  options: (scene: Scene) => WalOptions
  seed: number
  /** Called in the midst of every call that changes or syncs something. */
  onStep: (scene: Scene) => void
  /** Whether calls take some turns of the event loop, so that what runs beside them gets ahead or falls behind. */
  slow: boolean
  /** Calls may fail; `heal` ends that. Whatever the log does then is held against its promises about failures. */
  heal?: (() => void) | undefined
  /** Handed to every append. */
  signal?: AbortSignal | undefined
  /** Is told of every call, for whoever looks into one state. */
  trace?: ((line: string) => void) | undefined
}

/** One life of a log after the other, on one simulated disk, with an oracle that watches everything that is asked and answered. */
export class Scene {
  readonly clock = new ManualClock()
  readonly random: Random
  oracle: Oracle
  fs: SimulatedFileSystem
  wal!: Wal<string>
  /** How many calls so far change or sync something. */
  steps = 0
  readonly trigger: Trigger = {
    subscribe: observer => {
      this.#pull = () => observer.next(undefined)
      return { unsubscribe: () => (this.#pull = undefined) }
    },
  }
  readonly #options: WalOptions
  readonly #onStep: (scene: Scene) => void
  readonly #timing: Random | undefined
  readonly #trace: (line: string) => void
  readonly #heal: (() => void) | undefined
  readonly #signal: AbortSignal | undefined
  #pending = new Set<Promise<unknown>>()
  #pull: (() => void) | undefined
  #violation: unknown
  #expectsClean = false
  /**
   * The disk may have an error to report that is not the log's fault: then the log may fail, and must say so. Each file may, once, in
   * whichever life syncs it first, so this goes on until the power goes.
   */
  #mayFail = false
  #written = 0

  constructor({ fs, oracle, options, seed, onStep, slow, heal, signal, trace = () => undefined }: SceneParts) {
    this.fs = fs
    this.oracle = oracle
    this.random = new Random(seed)
    this.#options = options(this)
    this.#onStep = onStep
    this.#trace = trace
    this.#heal = heal
    this.#signal = signal
    this.#timing = slow ? new Random(seed + 1) : undefined
    this.#watch()
  }

  get isLax(): boolean {
    return this.#options.sync !== undefined && this.#options.sync !== 'always'
  }

  get first(): number {
    const { firstIndex } = this.oracle.current
    return this.oracle.floats ? Math.max(firstIndex, this.wal.firstIndex) : firstIndex
  }

  /** Last index accepted. */
  get last(): number {
    return nextIndexOf(this.oracle.current) - 1
  }

  // ---- what a workload is written with

  /**
   * Opens the log, and checks all of it against the oracle. `mayFail`: each file may have an error to report once, so some tries
   * may fail.
   */
  async open({ mayFail = false } = {}): Promise<void> {
    this.#mayFail ||= mayFail || this.#heal !== undefined
    this.wal = await this.#openAtLast()
    const { wal } = this
    if (this.#expectsClean && !wal.recoveryReport.clean)
      throw new Violation('a log that was closed was not found clean')
    this.#expectsClean = false
    const found = await this.#retrying(() => this.#read())
    const { clean, copiedEntries, cutBytes } = wal.recoveryReport
    const how = clean ? 'clean' : `${copiedEntries} entries copied, ${cutBytes} bytes cut`
    this.#trace(`opened: ${found.firstIndex} to ${nextIndexOf(found) - 1} (${how}), ${wal.segments().length} segments`)
    this.oracle.recover(found)
    this.#checkMarks(wal.lastIndex)
    await this.#retrying(() => this.#checkDirectory())
    if (wal.consumers().length > 0) this.oracle.recoverCheckpoint(wal.consumer('view').checkpointIndex)
    for (const [path, backup] of this.oracle.backups) await this.#checkBackup(path, backup)
  }

  /** Accepts entries, each for itself. */
  append(count = 1, size?: number): void {
    for (let i = 0; i < count; i++) {
      const entry = this.#entry(nextIndexOf(this.oracle.current), size)
      const { term, timestamp } = entry
      this.#accept(
        [entry],
        () => this.wal.append(entry.data, { term, timestamp, ...this.#signalled }),
        index => index === entry.index,
      )
    }
  }

  /** Accepts entries that must come back all or none. */
  batch(count: number, size?: number): void {
    const entries = this.#entries(count, size)
    const input = entries.map(({ data, term, timestamp }) => ({ data, term, timestamp }))
    const isRight = (range: IndexRange) => range.firstIndex === entries[0]!.index && range.count === count
    this.#accept(entries, () => this.wal.appendEntries(input, this.#signalled), isRight)
  }

  transaction(count: number, size?: number): void {
    if (this.wal.status !== 'open') return
    const transaction = this.wal.transaction()
    const entries = this.#entries(count, size, transaction.id)
    for (const { data, term, timestamp } of entries) transaction.append(data, { term, timestamp })
    this.#accept(
      entries,
      () => transaction.commit(this.#signalled),
      range => range.count === count,
    )
  }

  sync(): void {
    const { accepted } = this.oracle
    this.#trace(`sync of the first ${accepted}`)
    this.#track(this.wal.sync(), () => this.oracle.settle(accepted, { durable: true }))
  }

  rotate(): void {
    const { accepted } = this.oracle
    this.#trace(`rotate behind the first ${accepted}`)
    const rotated = this.wal.rotate().then(
      () => true,
      error => {
        // Where no new segment can be had the log goes on in the old one.
        const isDeclined = error instanceof WalError && TOLD.has(error.code)
        if (!isDeclined || this.#heal === undefined) throw error
        return false
      },
    )
    this.#track(rotated, isDone => isDone && this.oracle.settle(accepted, { durable: true }))
  }

  /** Cuts the log behind an index, or as near to that as there are entries. */
  truncateAfter(wanted: number): void {
    const index = Math.max(this.first - 1, Math.min(wanted, this.last))
    this.#change({ kind: 'truncateAfter', index }, () => this.wal.truncateAfter(index))
  }

  truncateBefore(wanted: number): void {
    const index = Math.min(wanted, this.last + 1)
    this.#change({ kind: 'truncateBefore', index }, () => this.wal.truncateBefore(index))
  }

  reset(nextIndex: number): void {
    this.#change({ kind: 'reset', nextIndex }, () => this.wal.reset(nextIndex))
  }

  /** A consumer reads a chunk, if there is one, and notes that it is done. */
  async process(): Promise<void> {
    const { wal, oracle } = this
    if (wal.status !== 'open') return
    const consumer = wal.consumer('view')
    if (consumer.lagEntries === 0) return
    const { value: chunk } = await consumer.chunks().next()
    if (chunk === undefined) return
    oracle.note(chunk.lastIndex)
    this.#trace(`checkpoint ${chunk.lastIndex}`)
    this.#track(consumer.checkpoint(), () => oracle.store(chunk.lastIndex))
    await this.stir(2)
    const closed = consumer.close()
    this.#track(closed, () => undefined)
  }

  /** Copies the log into another directory. */
  backup(path: string): void {
    const { wal, oracle } = this
    if (wal.status !== 'open') return
    const { firstIndex, durableIndex } = wal
    oracle.backUp(path, { firstIndex, durableIndex })
    this.#trace(`backup of ${firstIndex} to ${durableIndex}`)
    this.#track(wal.backup(path), () => oracle.backedUp(path))
  }

  /** Emits what `rotation.trigger` waits for. */
  pull(): void {
    this.#pull?.()
  }

  /** The power goes, or the process dies, and the life after begins with `open`. */
  async crash(kind: 'cut' | 'kill'): Promise<void> {
    this.observe()
    const seed = this.random.below(1e6)
    this.oracle = kind === 'cut' ? this.oracle.afterCut() : this.oracle.afterKill()
    if (kind === 'cut') this.#mayFail = false
    const { fs } = this
    fs.slow = fs.onOperation = undefined
    this.fs = kind === 'cut' ? fs.crash({ seed }) : fs.kill({ seed })
    // What the dead one still answers is heard by nobody.
    this.#pending = new Set()
    this.#watch()
    await this.stir(4)
  }

  /** Closes the log; what was accepted is committed and synced. */
  async close(): Promise<void> {
    this.closeSoon()
    await this.settle()
    await this.stir(4)
    const { openFiles } = this.fs
    if (openFiles > 0) throw new Violation(`a closed log left ${openFiles} files open`)
  }

  /** As `close`, without waiting for it. */
  closeSoon(): void {
    const { oracle, wal } = this
    const { accepted } = oracle
    const { status } = wal
    this.#trace(`close behind the first ${accepted}, ${status}`)
    this.#track(wal.close(), () => {
      this.#trace('closed')
      if (status === 'failed') return
      if (status !== 'paused') oracle.settle(accepted, { durable: true })
      oracle.close()
      this.#expectsClean = true
    })
  }

  /** Waits for everything that was asked, and helps a log out of a pause. */
  async settle(): Promise<void> {
    for (let turn = 0; this.#pending.size > 0; turn++) {
      if (turn > PATIENCE_TURNS) throw new Violation(`${this.#pending.size} promises stay pending for ever`)
      await nextTurn()
      if (this.#heal !== undefined && this.wal.status === 'paused') await this.#relieve(this.#heal)
    }
    this.#noteFailure()
    this.#rethrow()
  }

  /** Lets time go by, and what is due then be done. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms)
    for (let turn = 0; turn < 12; turn++) await nextTurn()
    this.#rethrow()
  }

  /** Lets what is under way get a little further, but not necessarily to its end. */
  async stir(turns = 1): Promise<void> {
    for (let turn = 0; turn < turns; turn++) await nextTurn()
    this.#rethrow()
  }

  /** Follows the log beside everything else, to the end of this life. */
  tail(): void {
    if (this.wal.status !== 'open') return
    void this.#follow(this.wal).catch(error => {
      if (!this.#isExpected(error)) this.#violation ??= asViolation(error, 'a tail')
    })
  }

  /** Reads everything there is to be read. */
  async readAll(): Promise<void> {
    if (this.wal.status !== 'open') return
    const { firstIndex, entries } = this.oracle.current
    const found = await this.#retrying(() => this.#read())
    const from = this.oracle.floats ? found.firstIndex : firstIndex
    const expected = entries.slice(from - firstIndex, from - firstIndex + found.entries.length)
    if (found.firstIndex !== from || expected.some((entry, i) => entry.data !== found.entries[i]!.data))
      throw new Violation('a reader was handed something else than what was written')
  }

  // ---- what the explorer needs

  /** Notes what the log says of itself; the explorer calls it before it looks at what a crash would leave. */
  observe(): void {
    if (this.wal === undefined || this.wal.status === 'closed') return
    this.#noteFailure()
    this.#checkMarks()
    this.oracle.observe(this.wal)
  }

  // ---------------------------------------------------------------------------------------------------------------------

  #open(): Promise<Wal<string>> {
    const encoding = text() as unknown as Encoding<never, unknown>
    const options = { ...this.#options, encoding, fileSystem: this.#fileSystem() }
    return openWith(DIRECTORY, options, this.clock, TUNING) as unknown as Promise<Wal<string>>
  }

  #fileSystem(): FileSystem {
    if (!this.#options.writerThread) return this.fs
    const memoryBytes = 4096 * [2, 5, 16][this.random.below(3)]!
    return withThread(this.fs, { seed: this.random.below(1e6), memoryBytes })
  }

  get #signalled(): { signal?: AbortSignal } {
    return this.#signal === undefined ? {} : { signal: this.#signal }
  }

  /** Opens; where calls may fail, a few tries may too, but each says so and leaves nothing behind. */
  async #openAtLast(): Promise<Wal<string>> {
    for (let triesLeft = this.#mayFail ? 4 : 0; ; triesLeft--) {
      try {
        return await this.#open()
      } catch (error) {
        const isTold = error instanceof WalError && TOLD.has(error.code)
        if (triesLeft === 0 || !isTold) throw asViolation(error, 'open')
        this.#trace(`open failed: ${error.message}`)
        await this.stir(4)
        if (this.fs.openFiles > 0) throw new Violation(`an opening that failed left ${this.fs.openFiles} files open`)
        if (triesLeft <= 2) this.#heal?.()
      }
    }
  }

  /** Looks, once more where a failing call was in the way. */
  async #retrying<R>(look: () => Promise<R>): Promise<R> {
    if (this.#heal === undefined) return look()
    try {
      return await look()
    } catch (error) {
      if (!isOfTheDisk(error)) throw error
      this.#trace(`a look failed: ${error instanceof Error ? error.message : error}`)
      this.#heal()
      return look()
    }
  }

  /** A paused log accepts nothing, keeps what it has, and goes on once there is space. */
  async #relieve(heal: () => void): Promise<void> {
    const { wal } = this
    this.#trace('paused')
    const refused = await wal.append('refused').then(
      () => undefined,
      (error: unknown) => error,
    )
    if (!(refused instanceof WalError) || refused.code !== 'WAL_NO_SPACE')
      throw new Violation(`a paused log answered an append with ${String(refused)}`)
    await wal.resume().catch((error: unknown) => {
      const isTold = error instanceof WalError && (error.code === 'WAL_NO_SPACE' || error.code === 'WAL_FAILED')
      if (!isTold) throw asViolation(error, 'resume')
    })
    heal()
    if (wal.status !== 'paused') return
    await wal.resume().catch(error => {
      throw asViolation(error, 'resume after there was space again')
    })
    if ((wal.status as string) !== 'open') throw new Violation(`a log that was resumed is ${wal.status}`)
  }

  /** Of a log that failed only what was on stable storage is promised. */
  #noteFailure(): void {
    if (this.wal?.status !== 'failed') return
    const { lastIndex, durableIndex } = this.wal
    if (lastIndex !== durableIndex)
      throw new Violation(`a failed log says lastIndex ${lastIndex}, durable ${durableIndex}`)
    this.oracle.fail()
  }

  #watch(): void {
    const timing = this.#timing
    if (timing === undefined) this.fs.onOperation = operation => this.#step(operation)
    else this.fs.slow = operation => this.#delayed(operation, timing.below(4))
  }

  #delayed(operation: SimulatedOperation, turns: number): Promise<void> | undefined {
    if (operation.number === 0) return undefined
    return this.#delay(operation, turns)
  }

  async #delay(operation: SimulatedOperation, turns: number): Promise<void> {
    for (let turn = 0; turn < turns; turn++) await nextTurn()
    this.#step(operation)
  }

  #step({ kind, path, to, position, length }: SimulatedOperation): void {
    this.steps++
    this.#trace(
      `step ${this.steps}: ${[kind, path, to, position, length].filter(part => part !== undefined).join(' ')}`,
    )
    try {
      this.#onStep(this)
    } catch (error) {
      this.#violation ??= error
    }
  }

  #rethrow(): void {
    if (this.#violation !== undefined) throw this.#violation
  }

  #entries(count: number, size?: number, transactionId?: string): Stored[] {
    const first = nextIndexOf(this.oracle.current)
    return Array.from({ length: count }, (_, i) => this.#entry(first + i, size, transactionId))
  }

  #entry(index: number, size = SIZES[this.random.below(SIZES.length)]!, transactionId?: string): Stored {
    const number = ++this.#written
    const name = `${number}:`
    const data =
      size === 0 ? '' : name + String.fromCharCode(97 + (number % 26)).repeat(Math.max(0, size - name.length))
    return { index, term: this.random.below(3), timestamp: 1000 + this.random.below(1000), data, transactionId }
  }

  #accept<R>(entries: readonly Stored[], call: () => Promise<R>, isRight: (result: R) => boolean): void {
    const { wal, oracle } = this
    if (wal.status !== 'open' || this.#signal?.aborted) {
      this.#expectRefusal(call())
      return
    }
    const accepted = call()
    const number = oracle.accept({ kind: 'append', entries })
    const last = entries.at(-1)!.index
    this.#trace(`${number}: append of ${entries[0]!.index} to ${last}`)
    if (wal.lastIndex !== last) throw new Violation(`lastIndex is ${wal.lastIndex} after entry ${last} was accepted`)
    this.#track(accepted, result => {
      if (!isRight(result)) throw new Violation(`an append answered ${JSON.stringify(result)} for entry ${last}`)
      this.#trace(`${number} resolved`)
      const isStillThere = oracle.current.entries.at(-1) === entries.at(-1)
      if (isStillThere && wal.committedIndex < last)
        throw new Violation(`an append resolved before entry ${last} was committed`)
      oracle.settle(number, { durable: !this.isLax })
    })
  }

  #change(change: Change, call: () => Promise<void>): void {
    if (this.wal.status !== 'open') {
      this.#expectRefusal(call())
      return
    }
    const done = call()
    const before = this.oracle.current
    const number = this.oracle.accept(change)
    // Where there is nothing to do nothing is made durable either.
    const durable = !this.isLax || (this.oracle.current !== before && !this.oracle.floats)
    this.#trace(`${number}: ${Object.values(change).join(' ')}`)
    this.#track(done, () => {
      this.#trace(`${number} resolved`)
      this.oracle.settle(number, { durable })
    })
  }

  #expectRefusal(call: Promise<unknown>): void {
    const { status } = this.wal
    this.#track(call, () => {
      throw new Violation(`a log that is ${status} accepted a call`)
    })
  }

  #track<R>(promise: Promise<R>, onResolved: (result: R) => void): void {
    const pending = this.#pending
    const ofThisLife = () => pending === this.#pending
    const resolved = (result: R) => (ofThisLife() ? onResolved(result) : undefined)
    const tracked = promise.then(resolved).catch(error => {
      if (ofThisLife() && !this.#isExpected(error)) this.#violation ??= asViolation(error, 'a call')
    })
    pending.add(tracked)
    void tracked.then(() => pending.delete(tracked))
  }

  /**
   * What a truncation took back before it was committed is told to whoever waited, and no fault; nor is what an abort or a close
   * brings about, nor, where calls may fail, a failure that is said to be one.
   */
  #isExpected(error: unknown): boolean {
    if (error === this.#signal?.reason && this.#signal?.aborted) return true
    if (!(error instanceof WalError)) return false
    const { code } = error
    if (code === 'WAL_OUTCOME_UNKNOWN') return this.#signal?.aborted === true
    if (code === 'WAL_CLOSED') return this.wal.status === 'closing' || this.wal.status === 'closed'
    return code === 'WAL_TRUNCATED' || (this.#mayFail && (code === 'WAL_FAILED' || code === 'WAL_NO_SPACE'))
  }

  async #follow(wal: Wal<string>): Promise<void> {
    let next: number | undefined
    for await (const { index, data } of wal.tail()) {
      if (wal !== this.wal) return
      next ??= index
      const accepted = this.oracle.current.entries[index - this.first]
      // What was cut off meanwhile may still be on its way to the reader.
      if (index !== next++ || !this.oracle.knows({ index, data }))
        throw new Violation(`a tail was handed ${index} ${data.slice(0, 20)}, which was not the next entry`)
      if (accepted?.data === data) this.oracle.observe({ durableIndex: 0, committedIndex: index })
    }
  }

  /** A backup is there whole, or not at all unless its promise resolved. */
  async #checkBackup(path: string, { state, isDone }: Backup): Promise<void> {
    if ((await this.fs.stat(path)) === undefined) {
      if (isDone) throw new Violation(`the backup ${path} is gone`)
      return
    }
    const options = {
      encoding: text() as unknown as Encoding<never, unknown>,
      fileSystem: this.fs.killImage({ seed: 0 }),
    }
    const copy = (await openWith(path, options, this.clock, TUNING).catch(error => {
      throw asViolation(error, `opening the backup ${path}`)
    })) as unknown as Wal<string>
    const found = await this.#read(copy)
    // It may hold what became durable after the call, too.
    const known = found.entries.slice(0, state.entries.length)
    const later = found.entries.slice(state.entries.length)
    const isRight = isSame(state, { firstIndex: found.firstIndex, entries: known })
    if (!isRight || later.some(entry => !this.oracle.knows(entry)))
      throw new Violation(
        `the backup ${path} does not hold ${state.entries.length} entries from ${state.firstIndex} on`,
      )
    this.oracle.foundBackup(path, found)
  }

  async #read(wal = this.wal): Promise<LogState> {
    const { firstIndex } = wal
    const entries: Stored[] = []
    try {
      for await (const chunk of wal.replay().chunks()) {
        for (const { index, term, timestamp, data, transactionId } of chunk)
          entries.push({ index, term, timestamp, data, transactionId })
      }
    } catch (error) {
      throw asViolation(error, 'replay')
    }
    return { firstIndex, entries }
  }

  #checkMarks(all?: number): void {
    const { firstIndex, lastIndex, committedIndex, durableIndex } = this.wal
    const marks = `first ${firstIndex}, durable ${durableIndex}, committed ${committedIndex}, last ${lastIndex}`
    const ordered = durableIndex <= committedIndex && committedIndex <= lastIndex && firstIndex <= lastIndex + 1
    if (!ordered || (all !== undefined && durableIndex !== all))
      throw new Violation(`the watermarks are out of order: ${marks}`)
  }

  /** After an opening nothing is left of what was interrupted. */
  async #checkDirectory(): Promise<void> {
    const names = await this.fs.list(DIRECTORY)
    const temporary = names.filter(name => name.endsWith('.tmp'))
    if (temporary.length > 0) throw new Violation(`the opening left ${temporary.join(', ')} behind`)
    const segments = this.wal.segments()
    const lost = segments.filter(({ path }) => !names.includes(path.slice(DIRECTORY.length + 1)))
    if (lost.length > 0) throw new Violation(`${lost.map(({ path }) => path).join(', ')} is not there`)
  }
}

function isOfTheDisk(error: unknown): boolean {
  const cause = error instanceof Violation ? error.cause : error
  return cause instanceof WalError
    ? cause.code === 'WAL_IO' || cause.code === 'WAL_FAILED'
    : !(error instanceof Violation)
}

function asViolation(error: unknown, what: string): Violation {
  if (error instanceof Violation) return error
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  const violation = new Violation(`${what} failed: ${message}`, { cause: error })
  if (stack !== undefined) violation.stack = stack
  return violation
}
