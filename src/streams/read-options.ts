import { checkOptions, rules } from '../check-options.js'
import type { CursorOptions } from '../contract.js'
import type { TailOptions } from '../types.js'

/** What `replay`, `tail` and `readable` take, held to its rules and split into what the cursor and what its reader needs. */
export interface ReadRequest<T> {
  readonly cursor: CursorOptions<T>
  readonly signal: AbortSignal | undefined
}

const readRules = {
  from: rules.from,
  to: rules.index,
  signal: rules.signal,
  chunkMaxBytes: rules.count,
  copy: rules.boolean,
  filter: rules.function,
  skipGaps: rules.boolean,
  onCaughtUp: rules.function,
  onFellBehind: rules.function,
}
/** What `readable` and `observe` take. */
export const readableRules = { ...readRules, live: rules.boolean }

/** `replay(42)` is short for `replay({ from: 42 })`, `tail(42)` likewise. */
export function iteratorRequest<T>(options: number | TailOptions<T> | undefined, live: boolean): ReadRequest<T> {
  const named = typeof options === 'number' ? { from: options } : options
  checkOptions(live ? 'tail()' : 'replay()', named, readRules)
  return request(named, live)
}

/** A readable is live unless told otherwise. */
export function readableRequest<T>(options: (TailOptions<T> & { live?: boolean }) | undefined): ReadRequest<T> {
  checkOptions('readable()', options, readableRules)
  const { live = true, ...rest } = options ?? {}
  return request(rest, live)
}

function request<T>(options: TailOptions<T> | undefined, live: boolean): ReadRequest<T> {
  const { signal, ...cursor } = options ?? {}
  return { cursor: { ...cursor, live }, signal }
}
