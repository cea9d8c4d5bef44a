import { inspect } from 'node:util'
import { WalError } from './errors.js'
import type { Encoding, FollowOptions, Logger, WalOptions } from './types.js'

/** How often a commit is followed by a sync. */
export type SyncPolicy = { kind: 'always' } | { kind: 'interval'; intervalMs: number } | { kind: 'never' }

/** What goes by itself, and what is waited for before it does. */
export interface ResolvedRetention {
  readonly limits: RetentionLimits
  readonly holdForConsumers: boolean
  readonly maxHeldBytes: number
  readonly archive: NonNullable<WalOptions['retention']>['archive']
}

/** Infinity where nothing was asked for. */
export interface RetentionLimits {
  /** Segments of the log, the active one included. */
  readonly maxSegments: number
  /** Used bytes of all segments, the active one included. */
  readonly maxBytes: number
  /** Counted from a segment's sealing. */
  readonly maxAgeMs: number
}

/** Every option with its value; frozen. docs/API.md says what each means. */
export interface ResolvedOptions<In, Out> {
  readonly encoding: Encoding<In, Out>
  /** Undefined: whatever is stored, binary at creation. */
  readonly format: WalOptions['format']
  readonly sync: SyncPolicy
  readonly segmentMaxBytes: number
  readonly rotation: NonNullable<WalOptions['rotation']>
  /** Undefined: everything is kept. */
  readonly retention: ResolvedRetention | undefined
  readonly highWaterMark: number
  /** 'auto' is narrowed to 'buffered' where direct I/O cannot be meant. */
  readonly io: NonNullable<WalOptions['io']>
  /** Memory for what makes reads quick: offset tables of sealed segments, and the last commits for those who follow. */
  readonly readCacheBytes: number
  /** Whether a thread of its own writes, and not libuv's pool. */
  readonly writerThread: boolean
  readonly maxEntryBytes: number
  readonly maxBatchBytes: number
  readonly recovery: NonNullable<WalOptions['recovery']>
  readonly startIndex: number
  readonly createIfMissing: boolean
  readonly transaction: { readonly timeoutMs: number; readonly maxEntries: number }
  readonly lock: WalOptions['lock']
  readonly logger: Logger
}

const MIB = 1 << 20
/** Room for the offset tables of eight million entries, and the last four megabytes. */
export const DEFAULT_READ_CACHE_BYTES = 36 * MIB
/** Lengths are 32 bits on disk and commits are laid out in one run of memory: this bounds both. */
const LARGEST_BATCH = 1 << 30
const LARGEST_SEGMENT = 8 * 1024 * MIB
const ENCODING_NAME_MAX_BYTES = 64

const KNOWN = new Set<string>([
  'sync',
  'segmentMaxBytes',
  'rotation',
  'retention',
  'highWaterMark',
  'maxEntryBytes',
  'maxBatchBytes',
  'recovery',
  'lock',
  'startIndex',
  'createIfMissing',
  'transaction',
  'logger',
  'fileSystem',
  'encoding',
  'io',
  'format',
  'readCacheBytes',
  'writerThread',
])

/** Checks what the user gave and fills in the defaults, but for the encoding. Throws WAL_INVALID_OPTION, or a TypeError for a wrong type. */
export function resolveOptions<In, Out>(given: WalOptions & { encoding: Encoding<In, Out> }): ResolvedOptions<In, Out> {
  if (typeof given !== 'object' || given === null)
    throw new TypeError(`The options must be an object, got ${show(given)}`)
  for (const name of Object.keys(given)) refuseUnknown(name)
  const { encoding } = given
  checkEncoding(encoding)
  const maxEntryBytes = integer('maxEntryBytes', given.maxEntryBytes, 16 * MIB, 1, LARGEST_BATCH)
  const maxBatchBytes = integer(
    'maxBatchBytes',
    given.maxBatchBytes,
    Math.max(64 * MIB, maxEntryBytes),
    1,
    LARGEST_BATCH,
  )
  return Object.freeze({
    encoding,
    format: given.format === undefined ? undefined : oneOf('format', given.format, ['binary', 'ndjson'] as const),
    sync: resolveSync(given.sync),
    segmentMaxBytes: integer('segmentMaxBytes', given.segmentMaxBytes, 64 * MIB, 1, LARGEST_SEGMENT),
    rotation: resolveRotation(given.rotation),
    retention: resolveRetention(given.retention),
    highWaterMark: integer('highWaterMark', given.highWaterMark, 8 * MIB, 1, Number.MAX_SAFE_INTEGER),
    maxEntryBytes,
    maxBatchBytes,
    readCacheBytes: integer(
      'readCacheBytes',
      given.readCacheBytes,
      DEFAULT_READ_CACHE_BYTES,
      0,
      Number.MAX_SAFE_INTEGER,
    ),
    writerThread: boolean('writerThread', given.writerThread, false),
    recovery: oneOf('recovery', given.recovery, ['tolerate-torn-tail', 'strict'] as const),
    startIndex: integer('startIndex', given.startIndex, 1, 1, Number.MAX_SAFE_INTEGER - 1),
    io: resolveIo(given),
    createIfMissing: boolean('createIfMissing', given.createIfMissing, true),
    transaction: resolveTransaction(given.transaction),
    lock: resolveLock(given.lock),
    logger: resolveLogger(given.logger),
  })
}

/** Checks a number given by the user; `name` as the user wrote it, for the message. */
function integer(name: string, value: unknown, fallback: number, min: number, max: number): number {
  if (value === undefined) return fallback
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, got ${show(value)}`)
  const rule = max === Number.MAX_SAFE_INTEGER ? `an integer of at least ${min}` : `an integer from ${min} to ${max}`
  if (!Number.isSafeInteger(value) || value < min || value > max) throw invalid(name, rule, value)
  return value
}

function refuseUnknown(name: string): void {
  if (KNOWN.has(name)) return
  throw new WalError('WAL_INVALID_OPTION', `There is no option '${name}'. See docs/API.md for the list.`)
}

/** Every option of `followWal` with its value. */
export interface ResolvedFollowOptions {
  readonly encoding: Encoding<never, unknown>
  readonly pollIntervalMs: number
  readonly readCacheBytes: number
  readonly logger: Logger
}

const FOLLOW_OPTIONS = ['encoding', 'pollIntervalMs', 'readCacheBytes', 'logger', 'fileSystem']
const POLL_INTERVAL_MS = 25

/** As `resolveOptions`, for what `followWal` takes. */
export function resolveFollowOptions(
  given: FollowOptions & { encoding: Encoding<never, unknown> },
): ResolvedFollowOptions {
  for (const [name, value] of Object.entries(given)) {
    if (FOLLOW_OPTIONS.includes(name)) continue
    refuseUnknown(name)
    if (value === undefined) continue
    const message = `'${name}' is an option of a writer; followWal knows ${FOLLOW_OPTIONS.join(', ')}.`
    throw new WalError('WAL_INVALID_OPTION', message)
  }
  checkEncoding(given.encoding)
  return {
    encoding: given.encoding,
    pollIntervalMs: integer('pollIntervalMs', given.pollIntervalMs, POLL_INTERVAL_MS, 1, 0x7fffffff),
    readCacheBytes: integer(
      'readCacheBytes',
      given.readCacheBytes,
      DEFAULT_READ_CACHE_BYTES,
      0,
      Number.MAX_SAFE_INTEGER,
    ),
    logger: resolveLogger(given.logger),
  }
}

function checkEncoding(encoding: Partial<Encoding<never, unknown>> | null): void {
  const { name, encode, decode } = encoding ?? {}
  if (typeof name !== 'string' || typeof encode !== 'function' || typeof decode !== 'function') {
    throw new TypeError('encoding must be an object with name, encode and decode, such as json()')
  }
  const length = Buffer.byteLength(name)
  if (length === 0 || length > ENCODING_NAME_MAX_BYTES)
    throw invalid('encoding.name', `1 to ${ENCODING_NAME_MAX_BYTES} bytes long`, name)
}

function resolveSync(value: WalOptions['sync']): SyncPolicy {
  if (value === undefined || value === 'always') return { kind: 'always' }
  if (value === 'never') return { kind: 'never' }
  if (typeof value === 'string') throw invalid('sync', `'always', 'never' or { intervalMs }`, value)
  object('sync', value)
  refuseOthers('sync', value, ['intervalMs'])
  if (value.intervalMs === undefined) throw invalid('sync.intervalMs', 'given', value.intervalMs)
  return { kind: 'interval', intervalMs: integer('sync.intervalMs', value.intervalMs, 0, 1, 0x7fffffff) }
}

/** Direct writes are durable one by one: of use only where every commit is to be, and in the format that fills blocks. */
function resolveIo({ io, sync, format }: WalOptions): NonNullable<WalOptions['io']> {
  const wanted = oneOf('io', io, ['auto', 'direct', 'buffered'] as const)
  const fits = (sync === undefined || sync === 'always') && format !== 'ndjson'
  if (wanted === 'direct' && !fits)
    throw invalid('io', "'auto' or 'buffered' unless sync is 'always' and format 'binary'", wanted)
  return fits ? wanted : 'buffered'
}

function resolveRotation(value: WalOptions['rotation'] = {}): NonNullable<WalOptions['rotation']> {
  object('rotation', value)
  refuseOthers('rotation', value, ['maxEntries', 'maxAgeMs', 'trigger'])
  const { maxEntries, maxAgeMs, trigger } = value
  if (maxEntries !== undefined) integer('rotation.maxEntries', maxEntries, 1, 1, Number.MAX_SAFE_INTEGER)
  if (maxAgeMs !== undefined) integer('rotation.maxAgeMs', maxAgeMs, 1, 1, Number.MAX_SAFE_INTEGER)
  if (trigger !== undefined && !isTrigger(trigger)) {
    throw new TypeError('rotation.trigger must have subscribe() or be an AsyncIterable')
  }
  return { ...value }
}

const RETENTION_OPTIONS = ['maxSegments', 'maxBytes', 'maxAgeMs', 'holdForConsumers', 'maxHeldBytes', 'archive']
const MAX_HELD_BYTES = 8 * 1024 * MIB

function resolveRetention(value: WalOptions['retention']): ResolvedRetention | undefined {
  if (value === undefined) return undefined
  object('retention', value)
  refuseOthers('retention', value, RETENTION_OPTIONS)
  const { archive } = value
  if (archive !== undefined && typeof archive !== 'function')
    throw new TypeError(`retention.archive must be a function, got ${show(archive)}`)
  const limit = (name: 'maxSegments' | 'maxBytes' | 'maxAgeMs') =>
    value[name] === undefined
      ? Number.POSITIVE_INFINITY
      : integer(`retention.${name}`, value[name], 1, 1, Number.MAX_SAFE_INTEGER)
  return {
    limits: { maxSegments: limit('maxSegments'), maxBytes: limit('maxBytes'), maxAgeMs: limit('maxAgeMs') },
    holdForConsumers: boolean('retention.holdForConsumers', value.holdForConsumers, true),
    maxHeldBytes: integer('retention.maxHeldBytes', value.maxHeldBytes, MAX_HELD_BYTES, 0, Number.MAX_SAFE_INTEGER),
    archive,
  }
}

function isTrigger(value: unknown): boolean {
  const { subscribe, [Symbol.asyncIterator]: iterate } = Object(value)
  return typeof subscribe === 'function' || typeof iterate === 'function'
}

function resolveTransaction(value: WalOptions['transaction'] = {}): { timeoutMs: number; maxEntries: number } {
  object('transaction', value)
  refuseOthers('transaction', value, ['timeoutMs', 'maxEntries'])
  return {
    timeoutMs: integer('transaction.timeoutMs', value.timeoutMs, 30_000, 1, 0x7fffffff),
    maxEntries: integer('transaction.maxEntries', value.maxEntries, 1000, 1, 0xffffffff),
  }
}

function resolveLock(value: WalOptions['lock']): WalOptions['lock'] {
  if (value !== undefined && typeof value?.acquire !== 'function')
    throw new TypeError('lock must be an object with acquire(path)')
  return value
}

const SILENT: Logger = { debug() {}, info() {}, warn() {}, error() {} }

function resolveLogger(value: Logger | undefined): Logger {
  if (value === undefined) return SILENT
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    if (typeof value?.[level] !== 'function') throw new TypeError(`logger.${level} must be a function`)
  }
  return shielded(value)
}

/** What a logger throws is an uncaught exception of the program, in a later turn: never the log's business. */
function shielded(logger: Logger): Logger {
  const shield = (level: keyof Logger) => (fields: object, message?: string) => {
    try {
      logger[level](fields, message)
    } catch (error) {
      setImmediate(() => {
        throw error
      })
    }
  }
  return { debug: shield('debug'), info: shield('info'), warn: shield('warn'), error: shield('error') }
}

function object(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) throw new TypeError(`${name} must be an object, got ${show(value)}`)
}

function refuseOthers(name: string, value: object, known: readonly string[]): void {
  for (const key of Object.keys(value)) {
    if (!known.includes(key))
      throw new WalError('WAL_INVALID_OPTION', `There is no option '${name}.${key}'. Known: ${known.join(', ')}.`)
  }
}

function boolean(name: string, value: boolean | undefined, fallback: boolean): boolean {
  if (value !== undefined && typeof value !== 'boolean')
    throw new TypeError(`${name} must be a boolean, got ${show(value)}`)
  return value ?? fallback
}

/** The first of `values` is the default. */
function oneOf<T extends string>(name: string, value: T | undefined, values: readonly [T, ...T[]]): T {
  if (value === undefined) return values[0]
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string, got ${show(value)}`)
  if (!values.includes(value)) throw invalid(name, `one of ${values.map(show).join(', ')}`, value)
  return value
}

function invalid(name: string, rule: string, value: unknown): WalError {
  return new WalError('WAL_INVALID_OPTION', `${name} must be ${rule}, got ${show(value)}.`)
}

function show(value: unknown): string {
  return typeof value === 'function'
    ? 'a function'
    : inspect(value, { depth: 1, breakLength: Number.POSITIVE_INFINITY })
}
