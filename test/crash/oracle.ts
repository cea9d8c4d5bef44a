import { Violation } from './violation.js'

/** An entry as it was accepted. */
export interface Stored {
  readonly index: number
  readonly term: number
  readonly timestamp: number
  readonly data: string
  readonly transactionId: string | undefined
}

/** What a log holds. `entries` has every index from `firstIndex` on. */
export interface LogState {
  readonly firstIndex: number
  readonly entries: readonly Stored[]
}

/** One call that changes the log: it happens whole or not at all. */
export type Change =
  | { kind: 'append'; entries: readonly Stored[] }
  | { kind: 'truncateAfter'; index: number }
  | { kind: 'truncateBefore'; index: number }
  | { kind: 'reset'; nextIndex: number }

/** How far a consumer's stored position may be. */
interface Checkpoint {
  /** Its promise has resolved. */
  stored: number
  noted: number
}

export interface Backup {
  /** What it holds if it is there at all. */
  state: LogState
  /** Its promise has resolved: it is there. */
  isDone: boolean
}

export function nextIndexOf(state: LogState): number {
  return state.firstIndex + state.entries.length
}

/**
 * Says what a log may hold after a crash. It knows the calls that were accepted, in order, and how many of them nothing may take
 * back: what is found must be the outcome of a prefix of the calls (promise 2) that is at least that long (promise 1).
 */
export class Oracle {
  /** `#states[k]` is what the log holds after the first k changes. */
  #states: LogState[]
  /** The change that brought each entry. */
  #changeOf = new Map<Stored, number>()
  /** So many changes survive a power cut. */
  #durable = 0
  /** So many survive the death of the process. */
  #committed = 0

  /** Whether the first index may rise without being asked. */
  readonly floats: boolean
  #checkpoint: Checkpoint = { stored: 0, noted: 0 }
  /** Every entry there ever was in this history. */
  #known = new Set<string>()
  /** A log that was cut may end before a checkpoint; the consumer is told at its next read. */
  #hasCuts = false
  #backups = new Map<string, Backup>()

  constructor(state: LogState, floats = false) {
    this.#states = [state]
    this.floats = floats
  }

  get backups(): ReadonlyMap<string, Readonly<Backup>> {
    return this.#backups
  }

  backUp(path: string, { firstIndex, durableIndex }: { firstIndex: number; durableIndex: number }): void {
    const entries = this.current.entries.filter(({ index }) => index >= firstIndex && index <= durableIndex)
    this.#backups.set(path, { state: { firstIndex, entries }, isDone: false })
  }

  backedUp(path: string): void {
    const { state } = this.#backups.get(path)!
    this.#backups.set(path, { state, isDone: true })
  }

  /** From now on nothing else may be found there. */
  foundBackup(path: string, state: LogState): void {
    this.#backups.set(path, { ...this.#backups.get(path)!, state })
  }

  /** A consumer says that it has processed everything up to `index`. */
  note(index: number): void {
    this.#checkpoint = { ...this.#checkpoint, noted: index }
  }

  store(index: number): void {
    this.#checkpoint = { ...this.#checkpoint, stored: Math.max(this.#checkpoint.stored, index) }
  }

  /** A consumer goes on behind `index`: neither before what it was told is stored nor behind what it has said, or the log has. */
  recoverCheckpoint(index: number): void {
    const { stored, noted } = this.#checkpoint
    const last = nextIndexOf(this.current) - 1
    if (index < stored || index > noted || (index > last && !this.#hasCuts))
      throw new Violation(`a checkpoint is at ${index}, stored ${stored}, noted ${noted}, and the log ends at ${last}`)
    // What was found need not be on stable storage: it is enough that nothing goes back behind what was told to be.
    this.#checkpoint = { stored, noted: index }
  }

  get current(): LogState {
    return this.#states.at(-1)!
  }

  /** Notes an accepted call; returns its number. */
  accept(change: Change): number {
    const state = apply(this.current, change)
    this.#states.push(state)
    if (change.kind === 'truncateAfter' || change.kind === 'reset') this.#hasCuts = true
    const number = this.#states.length - 1
    if (change.kind !== 'append') return number
    for (const entry of change.entries) {
      this.#changeOf.set(entry, number)
      this.#known.add(nameOf(entry))
    }
    return number
  }

  /** Whether such an entry was ever accepted. */
  knows(entry: Pick<Stored, 'index' | 'data'>): boolean {
    return this.#known.has(nameOf(entry))
  }

  /** How many calls were accepted. */
  get accepted(): number {
    return this.#states.length - 1
  }

  /** The first `count` changes have reached what keeps them over the death of the process, or with `durable` over a power cut. */
  settle(count: number, { durable }: { durable: boolean }): void {
    this.#committed = Math.max(this.#committed, count)
    if (durable) this.#durable = Math.max(this.#durable, count)
  }

  /** What the log says of itself binds it as a resolved promise does. */
  observe({ durableIndex, committedIndex }: { durableIndex: number; committedIndex: number }): void {
    this.settle(this.#changeThatWrote(durableIndex), { durable: true })
    this.settle(this.#changeThatWrote(committedIndex), { durable: false })
  }

  /** The log was closed in order: what was not committed by then never will be. */
  close(): void {
    this.#states.length = this.#committed + 1
    this.#durable = this.#committed
  }

  /** The log failed: what was committed and not synced need not come back. */
  fail(): void {
    this.#committed = this.#durable
  }

  afterCut(): Oracle {
    const copy = this.afterKill()
    copy.#committed = copy.#durable
    return copy
  }

  afterKill(): Oracle {
    const copy = new Oracle(this.current, this.floats)
    copy.#checkpoint = this.#checkpoint
    copy.#hasCuts = this.#hasCuts
    copy.#known = new Set(this.#known)
    copy.#backups = new Map(this.#backups)
    copy.#states = this.#states.slice()
    copy.#durable = this.#durable
    copy.#committed = this.#committed
    return copy
  }

  /** The log was opened and holds `found`: checks it, and takes it for what binds from now on. */
  recover(found: LogState): void {
    const allowed = this.#states.slice(this.#committed)
    const isAllowed = (state: LogState) => isSame(this.floats ? floatTo(state, found.firstIndex) : state, found)
    if (!allowed.some(isAllowed)) throw new Violation(explain(found, allowed))
    this.#states = [found]
    this.#changeOf.clear()
    this.#durable = this.#committed = 0
  }

  #changeThatWrote(index: number): number {
    const entry = this.current.entries[index - this.current.firstIndex]
    return (entry && this.#changeOf.get(entry)) ?? 0
  }
}

function nameOf({ index, data }: Pick<Stored, 'index' | 'data'>): string {
  return `${index} ${data.length} ${data.slice(0, 12)}`
}

/** What is left of a state once its first index has risen. */
function floatTo(state: LogState, firstIndex: number): LogState {
  if (firstIndex <= state.firstIndex || firstIndex > nextIndexOf(state)) return state
  return { firstIndex, entries: state.entries.slice(firstIndex - state.firstIndex) }
}

function apply(state: LogState, change: Change): LogState {
  const { firstIndex, entries } = state
  switch (change.kind) {
    case 'append':
      return { firstIndex, entries: [...entries, ...change.entries] }
    case 'truncateAfter':
      if (change.index === firstIndex + entries.length - 1) return state
      return { firstIndex, entries: entries.slice(0, change.index - firstIndex + 1) }
    case 'truncateBefore':
      if (change.index <= firstIndex) return state
      return { firstIndex: change.index, entries: entries.slice(change.index - firstIndex) }
    case 'reset':
      return { firstIndex: change.nextIndex, entries: [] }
  }
}

export function isSame(a: LogState, b: LogState): boolean {
  if (a.firstIndex !== b.firstIndex || a.entries.length !== b.entries.length) return false
  return a.entries.every((entry, i) => difference(entry, b.entries[i]!) === undefined)
}

const FIELDS = ['index', 'data', 'term', 'timestamp', 'transactionId'] as const

function difference(a: Stored, b: Stored): keyof Stored | undefined {
  return a === b ? undefined : FIELDS.find(field => a[field] !== b[field])
}

function explain(found: LogState, allowed: readonly LogState[]): string {
  const lines = allowed.map(state => `  ${extent(state)}${firstDifference(found, state)}`)
  return `the log holds ${extent(found)}, but after this crash it may hold only\n${lines.join('\n')}`
}

function extent(state: LogState): string {
  const count = state.entries.length
  return count === 0
    ? `nothing, next index ${state.firstIndex}`
    : `${state.firstIndex} to ${state.firstIndex + count - 1}`
}

function firstDifference(found: LogState, state: LogState): string {
  if (found.firstIndex !== state.firstIndex) return ''
  for (const [i, entry] of state.entries.entries()) {
    const other = found.entries[i]
    if (other === undefined) return ''
    const field = difference(entry, other)
    if (field !== undefined)
      return ` (${field} of ${entry.index}: found ${show(other[field])}, not ${show(entry[field])})`
  }
  return ''
}

function show(value: unknown): string {
  return String(value).slice(0, 24)
}
