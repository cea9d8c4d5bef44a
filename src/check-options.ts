import { WalError } from './errors.js'

/** What an option's value must be: a test and the words for it in the message. */
export interface OptionRule {
  readonly must: string
  readonly holds: (value: unknown) => boolean
}

const isObject = (value: unknown) => typeof value === 'object' && value !== null

/** The rules that options of several calls share. */
export const rules = {
  boolean: { must: 'be true or false', holds: value => typeof value === 'boolean' },
  function: { must: 'be a function', holds: value => typeof value === 'function' },
  /** What `new AbortController().signal` is, on any runtime. */
  signal: {
    must: 'be an AbortSignal',
    holds: value => isObject(value) && typeof (value as AbortSignal).aborted === 'boolean',
  },
  index: { must: 'be an integer', holds: value => Number.isSafeInteger(value) },
  count: { must: 'be an integer of 1 or more', holds: value => Number.isSafeInteger(value) && (value as number) > 0 },
  duration: { must: 'be a number of milliseconds above 0', holds: value => typeof value === 'number' && value > 0 },
  term: { must: 'be an integer of 0 or more', holds: value => Number.isSafeInteger(value) && (value as number) >= 0 },
  timestamp: { must: 'be milliseconds since 1970 or a valid Date', holds: value => isMoment(value) },
  from: {
    must: "be 'start', 'end', an index (an integer) or { timestamp }",
    holds: value => value === 'start' || value === 'end' || Number.isSafeInteger(value) || isTime(value),
  },
} satisfies Record<string, OptionRule>

export function oneOf(...values: string[]): OptionRule {
  return {
    must: `be ${values.map(value => `'${value}'`).join(' or ')}`,
    holds: value => values.includes(value as string),
  }
}

/**
 * Holds an options object to its rules: WAL_INVALID_OPTION names the option that is unknown or whose value breaks its rule,
 * with the value. An option that is undefined counts as not given. Options that are no object are a TypeError.
 */
export function checkOptions(call: string, options: unknown, known: Readonly<Record<string, OptionRule>>): void {
  if (options === undefined) return
  if (!isObject(options)) throw new TypeError(`${call} takes an object of options, got ${show(options)}`)
  for (const [name, value] of Object.entries(options as object)) {
    const rule = Object.hasOwn(known, name) ? known[name] : undefined
    if (!rule) throw invalid(`${call} has no option '${name}'; it knows ${Object.keys(known).join(', ')}`)
    if (value !== undefined && !rule.holds(value))
      throw invalid(`option '${name}' of ${call} must ${rule.must}, got ${show(value)}`)
  }
}

function isTime(value: unknown): boolean {
  if (!isObject(value) || Object.keys(value as object).join() !== 'timestamp') return false
  return isMoment((value as { timestamp: unknown }).timestamp)
}

function isMoment(value: unknown): boolean {
  return Number.isFinite(value instanceof Date ? value.getTime() : value)
}

function invalid(message: string): WalError {
  return new WalError('WAL_INVALID_OPTION', message)
}

function show(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  if (typeof value === 'function') return 'a function'
  if (!isObject(value) || Array.isArray(value)) return Array.isArray(value) ? 'an array' : String(value)
  return `an instance of ${(value as object).constructor?.name ?? 'Object'}`
}
