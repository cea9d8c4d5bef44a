import type { Format } from '../codec/format.js'
import { EntryPositions, type Memory } from '../codec/memory.js'
import type { IndexRange } from '../types.js'
import { type Deferred, deferred } from './deferred.js'

type Value = number | IndexRange
type Settle = (outcome: Value | Promise<never>) => void

/** Entries accepted and not committed, laid out as they will be written, with everybody who waits for them. */
export class PendingCommit {
  readonly memory: Memory
  /** Position of the commit in `memory`; its frame fills the bytes up to the first entry. */
  readonly start: number
  /** Behind the last entry. */
  end: number
  /** No further entry may reach beyond this position. */
  readonly limit: number
  readonly firstIndex: number
  count = 0
  minTimestamp = Infinity
  maxTimestamp = -Infinity
  lastTerm = 0
  /** Positions of the entries in `memory`. */
  readonly offsets: EntryPositions
  /** It belongs into a new segment: the one before is full, or somebody asked for a rotation. */
  readonly rotateBefore: boolean
  /** When its first entry was accepted, by the monotonic clock. */
  readonly acceptedAt: number
  // Two parallel lists rather than a list of objects: one entry each per awaited append.
  readonly #values: Value[] = []
  readonly #settles: Settle[] = []
  /** One function for all promises; a rejection is a resolution with a promise that is rejected. Both cost a promise half as much. */
  readonly #register = (settle: Settle): void => {
    this.#settles.push(settle)
  }
  #shared: Deferred<void> | undefined
  /** Highest index somebody waits for through the shared promise. */
  #sharedUpTo = 0

  constructor(
    memory: Memory,
    place: { start: number; prefix: number; limit: number; capacity: number },
    from: { firstIndex: number; rotateBefore: boolean; acceptedAt: number },
  ) {
    this.memory = memory
    this.start = place.start
    this.end = place.start + place.prefix
    this.limit = place.limit
    this.offsets = new EntryPositions(place.capacity)
    this.firstIndex = from.firstIndex
    this.rotateBefore = from.rotateBefore
    this.acceptedAt = from.acceptedAt
  }

  get lastIndex(): number {
    return this.firstIndex + this.count - 1
  }

  termOf(index: number, format: Format): number {
    const alone = new EntryPositions()
    alone.push(this.offsets.slots[index - this.firstIndex]!)
    let found = 0
    format.eachStamp({ ...this.memory, start: 0, length: this.end }, alone, (_, term) => {
      found = term
    })
    return found
  }

  /** A promise of one entry's index, or of a batch's range, once the commit is done. */
  wait<V extends Value>(value: V): Promise<V> {
    this.#values.push(value)
    return new Promise<Value>(this.#register) as Promise<V>
  }

  /** One promise for all who only want to know that the commit is done. */
  done(index: number): Promise<void> {
    this.#shared ??= deferred()
    this.#sharedUpTo = Math.max(this.#sharedUpTo, index)
    return this.#shared.promise
  }

  resolve(): void {
    const values = this.#values
    for (let i = 0; i < values.length; i++) this.#settles[i]!(values[i]!)
    this.#shared?.resolve()
    this.#clear()
  }

  reject(reason: unknown): void {
    if (this.#settles.length > 0) {
      const rejected = rejection(reason)
      for (const settle of this.#settles) settle(rejected)
    }
    this.#shared?.reject(reason)
    this.#clear()
  }

  /**
   * Rejects those who wait for something above `index`, which was taken back before it was committed. Of the shared promise all
   * are rejected as soon as one of them is concerned: better to be told to look again than that a lost entry was committed.
   */
  rejectAbove(index: number, reason: unknown): void {
    for (let i = this.#values.length - 1; i >= 0; i--) {
      const value = this.#values[i]!
      if ((typeof value === 'number' ? value : value.lastIndex) <= index) continue
      this.#settles[i]!(rejection(reason))
      this.#settles.splice(i, 1)
      this.#values.splice(i, 1)
    }
    if (this.#sharedUpTo <= index) return
    this.#shared?.reject(reason)
    this.#shared = undefined
  }

  #clear(): void {
    this.#settles.length = this.#values.length = 0
    this.#shared = undefined
  }
}

/** A rejected promise that nobody has to handle: those who follow it do. */
function rejection(reason: unknown): Promise<never> {
  const rejected = Promise.reject(reason)
  rejected.catch(() => undefined)
  return rejected
}
