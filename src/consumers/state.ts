import type { ConsumableLog, CursorOptions, LogCursor, LogHistory } from '../contract.js'
import { emitApart } from '../emit.js'
import { WalError } from '../errors.js'
import type { ConsumerInfo, From, WalConsumer } from '../types.js'
import type { Checkpoint, StoreTerms } from './checkpoint.js'
import { lossAt, lostAfter, type Position, positionAt } from './position.js'

/** Where reading begins. A time is looked for among the entries up to `upTo`. */
export type Start =
  | { kind: 'start' }
  | { kind: 'index'; index: number }
  | { kind: 'timestamp'; timestamp: number; upTo: number }
  | { kind: 'position'; position: Position }

/** Fixes `'end'` and times at the call. */
export function fixStart(log: ConsumableLog<unknown>, from: From): Start {
  if (from === 'start') return { kind: 'start' }
  if (from === 'end') return { kind: 'index', index: log.committedIndex + 1 }
  if (typeof from === 'number') return { kind: 'index', index: from }
  const timestamp = typeof from.timestamp === 'number' ? from.timestamp : from.timestamp.getTime()
  return { kind: 'timestamp', timestamp, upTo: log.committedIndex }
}

/** Whoever reads under the name. */
export interface ActiveReader {
  /** The position was set anew: what is being read is given up. */
  interrupt(): void
}

export interface ConsumerStateParts<T> {
  name: string
  log: ConsumableLog<T>
  history: LogHistory
  createCheckpoint: (state: ConsumerState<T>) => Checkpoint
}

/** What all consumers of one name share in this process: the checkpoint, who reads, and who waits for it. */
export class ConsumerState<T> {
  readonly name: string
  readonly log: ConsumableLog<T>
  readonly history: LogHistory
  readonly checkpoint: Checkpoint
  /** Those that were not closed, and where each begins without a checkpoint. */
  readonly #open = new Map<WalConsumer<T>, Start>()
  #releaseHold: (() => void) | undefined
  /** Rises with every `seek`: what was handed out before it no longer moves the position. */
  generation = 0
  #reader: ActiveReader | undefined
  /** What `seek` asked for, as long as the checkpoint does not say the same. */
  #sought: Start | undefined
  readonly #waiters = new Set<() => void>()

  constructor({ name, log, history, createCheckpoint }: ConsumerStateParts<T>) {
    this.name = name
    this.log = log
    this.history = history
    this.checkpoint = createCheckpoint(this)
  }

  // ---- who is there

  get isOpen(): boolean {
    return this.#open.size > 0
  }

  /** As long as there is one, retention waits for it. */
  join(consumer: WalConsumer<T>, start: Start): void {
    this.#open.set(consumer, start)
    const heldFrom = () => this.#heldFrom()
    this.#releaseHold ??= this.log.holdRetention?.({ heldFrom, onHeld: held => this.#tell('held', held) })
  }

  /** The last one to go lets go of the checkpoint's file. Resolves once the position is stored. */
  async leave(consumer: WalConsumer<T>): Promise<void> {
    this.#open.delete(consumer)
    if (this.isOpen) return this.checkpoint.flush()
    try {
      await this.checkpoint.close()
    } finally {
      if (!this.isOpen) {
        this.#releaseHold?.()
        this.#releaseHold = undefined
      }
    }
  }

  // ---- who reads

  get isActive(): boolean {
    return this.#reader !== undefined
  }

  /** Throws WAL_CONSUMER_ACTIVE when somebody else reads under this name. */
  activate(reader: ActiveReader): void {
    if (this.#reader !== undefined && this.#reader !== reader) {
      const message = `Consumer '${this.name}' of ${this.log.directory} is being read already. End that reader first, or take another name.`
      throw new WalError('WAL_CONSUMER_ACTIVE', message)
    }
    this.#reader = reader
  }

  deactivate(reader: ActiveReader): void {
    if (this.#reader === reader) this.#reader = undefined
  }

  // ---- where it stands

  /** Index of the last entry that needs no processing; `start` is where a consumer without a checkpoint begins. */
  processedIndex(start: Start = this.#firstStart): number {
    const { noted } = this.checkpoint
    // Where a seek to a time leads is known at the next read.
    if (this.#sought !== undefined && this.#sought.kind !== 'start') return this.log.firstIndex - 1
    if (noted !== undefined) return noted.index
    return start.kind === 'index' ? start.index - 1 : this.log.firstIndex - 1
  }

  lagEntries(start?: Start): number {
    return Math.max(0, this.log.committedIndex - this.processedIndex(start))
  }

  get #firstStart(): Start {
    for (const start of this.#open.values()) return start
    return { kind: 'start' }
  }

  /** Why nothing can be read before a `seek`. */
  get problem(): WalError | undefined {
    const { noted, problem } = this.checkpoint
    if (this.#sought !== undefined) return undefined
    return problem ?? (noted && this.#lossOf(noted))
  }

  /** Opens a cursor where reading goes on; `start`: where it begins without a checkpoint. */
  async openCursor(start: Start, options: CursorOptions<T>, terms: StoreTerms): Promise<LogCursor<T>> {
    const { noted, problem } = this.checkpoint
    if (this.#sought === undefined && problem !== undefined) throw problem
    const chosen = this.#sought ?? (noted ? ({ kind: 'position', position: noted } as const) : start)
    if (chosen.kind === 'start') return this.log.cursor({ ...options, from: 'start' })
    if (chosen.kind === 'position') return this.#openBehind(chosen.position, options, terms)
    const index = chosen.kind === 'index' ? chosen.index : await this.#indexAt(chosen)
    const cursor = this.log.cursor({ ...options, from: index })
    this.#settleAt(positionAt(index - 1, this.history.epochs), terms)
    return cursor
  }

  /** The first entry after `'start'` was read: from now on that is a fixed place. */
  began(firstIndex: number, terms: StoreTerms): void {
    if (this.#sought?.kind === 'start' || this.checkpoint.noted === undefined)
      this.#settleAt(positionAt(firstIndex - 1, this.history.epochs), terms)
  }

  /** Sets where reading goes on; whether that can be, the next read tells. */
  seek(target: Start, terms: StoreTerms): void {
    if (this.checkpoint.problem?.code === 'WAL_UNSUPPORTED_VERSION') throw this.checkpoint.problem
    this.generation++
    this.#sought = target
    const position = this.#storablePosition(target)
    if (position !== undefined) this.checkpoint.move(position, terms)
    if (position !== undefined && target.kind !== 'start') this.#sought = undefined
    this.#reader?.interrupt()
  }

  /** Forgets where it stood, here and on disk. */
  async remove(): Promise<void> {
    this.generation++
    this.#sought = undefined
    await this.checkpoint.remove()
  }

  #openBehind(position: Position, options: CursorOptions<T>, terms: StoreTerms): LogCursor<T> {
    const loss = this.#lossOf(position)
    if (loss !== undefined) throw loss
    try {
      const cursor = this.log.cursor({ ...options, from: position.index + 1 })
      if (this.#sought !== undefined) this.#settleAt(position, terms)
      return cursor
    } catch (error) {
      // The history is the same but shorter: a backup taken before the consumer came that far.
      if ((error as WalError).code !== 'WAL_INDEX_OUT_OF_RANGE') throw error
      throw lostAfter(this.name, { firstIndex: this.log.lastIndex + 1, lastIndex: position.index })
    }
  }

  #settleAt(position: Position, terms: StoreTerms): void {
    this.#sought = undefined
    this.checkpoint.move(position, terms)
  }

  /** The position that `target` stands for, if it is one that reading can go on from. */
  #storablePosition(target: Start): Position | undefined {
    const { firstIndex, lastIndex } = this.log
    const { epochs } = this.history
    if (target.kind === 'timestamp') return undefined
    const index = target.kind === 'start' ? firstIndex - 1 : target.kind === 'index' ? target.index - 1 : undefined
    const position = index === undefined ? (target as { position: Position }).position : positionAt(index, epochs)
    const isInLog = position.index >= firstIndex - 1 && position.index <= lastIndex
    return isInLog && lossAt(position, epochs) === undefined ? position : undefined
  }

  #lossOf(position: Position): WalError | undefined {
    const loss = lossAt(position, this.history.epochs)
    return loss && lostAfter(this.name, loss)
  }

  async #indexAt({ timestamp, upTo }: { timestamp: number; upTo: number }): Promise<number> {
    const cursor = this.log.cursor({ from: { timestamp }, to: upTo, live: false, chunkMaxEntries: 1 })
    try {
      return (await cursor.next())?.firstIndex ?? upTo + 1
    } finally {
      cursor.close()
    }
  }

  // ---- who is told

  /** Calls back whenever a position is noted; returns a function that unsubscribes. */
  onNoted(callback: () => void): () => void {
    this.#waiters.add(callback)
    return () => this.#waiters.delete(callback)
  }

  noted(): void {
    for (const callback of [...this.#waiters]) callback()
  }

  /** A position before the first entry is no news. */
  stored(index: number): void {
    if (index > 0) this.#tell('checkpoint', index)
  }

  /** The first entry that may have to be read again. */
  #heldFrom(): number {
    const { stored } = this.checkpoint
    const processed = this.processedIndex()
    return Math.min(processed, stored?.index ?? processed) + 1
  }

  info(): ConsumerInfo {
    return {
      name: this.name,
      checkpointIndex: this.checkpoint.noted?.index ?? 0,
      lagEntries: this.lagEntries(),
      heldBytes: this.#heldBytes(),
      active: this.isActive,
    }
  }

  /** Of the segments that hold entries it has yet to process. */
  #heldBytes(): number {
    const from = this.#heldFrom()
    return this.log.segmentInfos().reduce((sum, { lastIndex, bytes }) => sum + (lastIndex >= from ? bytes : 0), 0)
  }

  #tell(name: string, payload: unknown): void {
    const listening = [...this.#open.keys()].filter(consumer => consumer.listenerCount(name as 'held') > 0)
    if (listening.length === 0) return
    process.nextTick(() => {
      for (const consumer of listening) emitApart(consumer, name, [payload])
    })
  }
}
