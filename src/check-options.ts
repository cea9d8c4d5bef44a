import { WalError } from './errors.js'

/** What an option's value must be. */
export interface OptionRule {
  /** In words, for the message: `must <be a number above 0>`. */
  readonly must: string
  /** False for a value of a wrong type: a TypeError. */
  readonly isType: (value: unknown) => boolean
  /** False for a value of that type that will not do: WAL_INVALID_OPTION. */
  readonly holds?: (value: unknown) => boolean
}

const isObject = (value: unknown) => typeof value === 'object' && value !== null
const isNumber = (value: unknown) => typeof value === 'number'
const isInteger = (value: unknown) => Number.isSafeInteger(value)

/** The rules that options of several calls share. */
export const rules = {
  boolean: { must: 'be true or false', isType: value => typeof value === 'boolean' },
  function: { must: 'be a function', isType: value => typeof value === 'function' },
  /** What `new AbortController().signal` is, on any runtime. */
  signal: {
    must: 'be an AbortSignal',
    isType: value => isObject(value) && typeof (value as AbortSignal).aborted === 'boolean',
  },
  path: { must: 'be a path', isType: value => typeof value === 'string', holds: value => value !== '' },
  index: { must: 'be an integer', isType: isNumber, holds: isInteger },
  count: {
    must: 'be an integer of 1 or more',
    isType: isNumber,
    holds: value => isInteger(value) && Number(value) > 0,
  },
  duration: { must: 'be a number of milliseconds above 0', isType: isNumber, holds: value => Number(value) > 0 },
  /** Of an entry: whether the value can be stored is for the log to say (WAL_INVALID_ENTRY). */
  term: { must: 'be a number', isType: isNumber },
  timestamp: { must: 'be a number or a Date', isType: value => isNumber(value) || value instanceof Date },
  from: {
    must: "be 'start', 'end', an index (an integer) or { timestamp }",
    isType: value => ['string', 'number'].includes(typeof value) || isTime(value),
    holds: value => value === 'start' || value === 'end' || isInteger(value) || isTime(value, 'finite'),
  },
} satisfies Record<string, OptionRule>

export function oneOf(...values: string[]): OptionRule {
  return {
    must: `be ${values.map(value => `'${value}'`).join(' or ')}`,
    isType: value => typeof value === 'string',
    holds: value => values.includes(value as string),
  }
}

/**
 * Holds an options object to its rules. WAL_INVALID_OPTION names the option that is unknown, or whose value breaks its rule, with
 * the value; a value of a wrong type, and options that are no object, are a TypeError. Undefined counts as not given.
 */
export function checkOptions(call: string, options: unknown, known: Readonly<Record<string, OptionRule>>): void {
  if (options === undefined) return
  if (!isObject(options)) throw wrongType(`${call} takes an object of options, got ${show(options)}`)
  for (const [name, value] of Object.entries(options as object)) {
    const rule = Object.hasOwn(known, name) ? known[name] : undefined
    if (!rule) throw invalid(`${call} has no option '${name}'; it knows ${Object.keys(known).join(', ')}`)
    if (value !== undefined) checkOption(call, name, value, rule)
  }
}

function checkOption(call: string, name: string, value: unknown, rule: OptionRule): void {
  const message = () => `option '${name}' of ${call} must ${rule.must}, got ${show(value)}`
  if (!rule.isType(value)) throw wrongType(message())
  if (rule.holds && !rule.holds(value)) throw invalid(message())
}

function isTime(value: unknown, finite?: 'finite'): boolean {
  if (!isObject(value) || Object.keys(value as object).join() !== 'timestamp') return false
  const { timestamp } = value as { timestamp: unknown }
  return rules.timestamp.isType(timestamp) && (finite === undefined || Number.isFinite(Number(timestamp)))
}

/** With Node's own code for it. */
function wrongType(message: string): TypeError {
  return Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARG_TYPE' })
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
