import { hostname } from 'node:os'
import { basename, dirname, resolve } from 'node:path'
import { type Clock, systemClock } from './clock.js'
import { bytes } from './codec/encoding.js'
import type { FormatName } from './codec/format.js'
import { Consumers, listConsumers } from './consumers/consumers.js'
import { WalError } from './errors.js'
import { withIoErrors } from './file-system/io-error.js'
import { lockOwnerText, readLockOwner } from './file-system/lock-owner.js'
import { nodeFileSystem } from './file-system/node.js'
import type { FileSystem } from './file-system/types.js'
import { FileLog } from './log/file-log.js'
import { defaultTuning, type Tuning } from './log/tuning.js'
import { verifyOpenLog } from './log/verify-open-log.js'
import { type ResolvedOptions, resolveOptions } from './options.js'
import { createFormat } from './segments/create-format.js'
import { CONSUMERS_NAME, LOCK_NAME } from './segments/name.js'
import { type Opened, openStore } from './segments/opening.js'
import type { Encoding, Wal, WalOptions } from './types.js'
import { FileWal } from './wal.js'

/**
 * Opens the log in `directory` for writing and reading, creating both when they are missing. One process at a time may have it
 * open; readers elsewhere use `followWal`. Whatever ended the last writer, the log comes back with everything it acknowledged.
 *
 * Rejects with WAL_LOCKED (another writer), WAL_NOT_FOUND (`createIfMissing: false`), WAL_CORRUPT (damage that no crash explains),
 * WAL_MISMATCH (other format or encoding), WAL_UNSUPPORTED_VERSION, WAL_IO, WAL_NO_SPACE, WAL_INVALID_OPTION; misuse by type is a
 * TypeError. In every case nothing was lost or left half done.
 */
export function openWal<In, Out>(
  directory: string,
  options: WalOptions & { encoding: Encoding<In, Out> },
): Promise<Wal<Out, In>>
export function openWal(
  directory: string,
  options?: WalOptions & { encoding?: undefined },
): Promise<Wal<Buffer, Uint8Array | string>>
export function openWal(
  directory: string,
  options: WalOptions & { encoding?: Encoding<never, unknown> } = {},
): Promise<Wal<unknown, never>> {
  return openWith(directory, options, systemClock)
}

/** As `openWal`, with clock and sizes given: for tests and the crash exploration. */
export async function openWith(
  directory: string,
  given: WalOptions & { encoding?: Encoding<never, unknown> },
  clock: Clock,
  tuning = defaultTuning,
): Promise<Wal<unknown, never>> {
  if (typeof directory !== 'string' || directory === '') throw new TypeError('openWal needs the path of a directory')
  const options = resolveOptions<never, unknown>({
    ...given,
    encoding: given.encoding ?? (bytes() as Encoding<never, unknown>),
  })
  const fs = (given.fileSystem as FileSystem | undefined) ?? nodeFileSystem
  if (options.writerThread) assertHasThread(fs)
  const path = resolve(directory)
  await withIoErrors('opening', path, () => prepareDirectory(fs, path, options.createIfMissing))
  const unlock = await acquireLock({ fs, clock }, path, options)
  const thread = await joinThread(fs, options).catch(async error => {
    await unlock()
    throw error
  })
  const release = () => thread.leave().finally(unlock)
  try {
    const consumers = `${path}/${CONSUMERS_NAME}`
    const names = await listConsumers(fs, consumers)
    const opened = await openStore({
      fs: thread.fs,
      clock,
      directory: path,
      logger: options.logger,
      format: options.format,
      encoding: options.encoding.name,
      startIndex: options.startIndex,
      createIfMissing: options.createIfMissing,
      strict: options.recovery === 'strict',
      limits: { maxEntryBytes: options.maxEntryBytes, maxBatchBytes: options.maxBatchBytes },
      io: options.io,
      zeroAhead: { ...tuning.zeroAhead, segmentMaxBytes: options.segmentMaxBytes },
      createFormat: (name, logId) => {
        assertFits(name, options)
        return createFormat(name, logId)
      },
    })
    return compose({ fs, clock, options, tuning, opened, release, consumers: { directory: consumers, names } })
  } catch (error) {
    await release()
    throw error
  }
}

/** Offsets in a segment's table are 30 bits, in units of 8 bytes for binary segments and of one byte for text. */
const NDJSON_SEGMENT_MAX_BYTES = 512 << 20
const NDJSON_BATCH_MAX_BYTES = 256 << 20

function assertFits(name: FormatName, { segmentMaxBytes, maxBatchBytes }: ResolvedOptions<never, unknown>): void {
  const fits = segmentMaxBytes <= NDJSON_SEGMENT_MAX_BYTES && maxBatchBytes <= NDJSON_BATCH_MAX_BYTES
  if (name === 'binary' || fits) return
  const limits = `segmentMaxBytes at most ${NDJSON_SEGMENT_MAX_BYTES}, maxBatchBytes at most ${NDJSON_BATCH_MAX_BYTES}`
  const message = `With format 'ndjson' the limits are: ${limits}; got ${segmentMaxBytes} and ${maxBatchBytes}.`
  throw new WalError('WAL_INVALID_OPTION', message)
}

interface Composition {
  fs: FileSystem
  clock: Clock
  options: ResolvedOptions<never, unknown>
  tuning: Tuning
  opened: Opened
  release: () => Promise<void>
  consumers: { directory: string; names: string[] }
}

function compose({ fs, clock, options, tuning, opened, release, consumers }: Composition): Wal<unknown, never> {
  const { store, report } = opened
  if (!report.clean)
    options.logger.warn({ directory: store.directory, ...report }, 'the log was not closed in order and was recovered')
  const wal = new FileWal<unknown, never>({
    recoveryReport: report,
    transaction: { ...options.transaction, maxBatchBytes: options.maxBatchBytes },
    createLog: events => {
      // Checkpoints are stored before another process can have the log.
      const releaseAll = (): Promise<void> => all.end().finally(release)
      const log = new FileLog({ fs, clock, store, options, tuning, release: releaseAll, events })
      const all = new Consumers({ log, history: store, fs, clock, ...consumers })
      log.announcer.publish('recovery', report)
      return { log, verify: asked => verifyOpenLog(fs, clock, log, asked), consumers: all }
    },
  })
  return wal as unknown as Wal<unknown, never>
}

/** Creates what is missing of the path. New directories are made durable one by one: their names lie in their parents. */
async function prepareDirectory(fs: FileSystem, path: string, create: boolean): Promise<void> {
  const found = await fs.stat(path)
  // A symbolic link to a directory is a fine place for a log; what it leads to is found out when its names are listed.
  if (found?.kind === 'directory' || found?.kind === 'other') return
  if (found !== undefined)
    throw new WalError('WAL_IO', `${path} is not a directory. A log is a directory: give another path.`)
  if (!create) throw new WalError('WAL_NOT_FOUND', `There is no log in ${path}, and createIfMissing is false.`)
  const parent = dirname(path)
  if (parent !== path) await prepareDirectory(fs, parent, create)
  // Another opening may have created it meanwhile, a parent of both logs for instance; its name is made durable all the same.
  await fs.createDirectory(path).catch(error => {
    if (error.code !== 'EEXIST') throw error
  })
  await fs.syncDirectory(parent)
}

function assertHasThread(fs: FileSystem): void {
  if (fs.writerThread !== undefined) return
  const message = `writerThread must be false with the fileSystem given: a thread can write to the machine's file system only.`
  throw new WalError('WAL_INVALID_OPTION', message)
}

/** What the log is written by: a thread where that is asked for. Readers go on by themselves. */
async function joinThread(
  fs: FileSystem,
  { writerThread, sync }: ResolvedOptions<never, unknown>,
): Promise<{ fs: FileSystem; leave: () => Promise<void> }> {
  // With 'always' each sync is waited for; with the others appends go on while it runs.
  const thread = writerThread ? await fs.writerThread?.({ syncsAside: sync.kind !== 'always' }) : undefined
  return thread ?? { fs, leave: async () => {} }
}

async function acquireLock(
  { fs, clock }: { fs: FileSystem; clock: Clock },
  directory: string,
  options: ResolvedOptions<never, unknown>,
): Promise<() => Promise<void>> {
  const path = `${directory}/${LOCK_NAME}`
  const { lock } = options
  if (lock !== undefined) {
    const held = await lock.acquire(path)
    return () => held.release()
  }
  const owner = lockOwnerText({
    pid: process.pid,
    host: hostname(),
    startedAt: Math.round(clock.now() - process.uptime() * 1000),
  })
  const held = await withIoErrors('locking', path, () => fs.lock(path, owner))
  if (held !== undefined) return () => held.release()
  const holder = await readLockOwner(fs, path)
  const who = holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}`
  const message = `The log in ${directory} is open for writing in ${who}. Close it there, or read it with followWal('${basename(directory)}').`
  throw new WalError('WAL_LOCKED', message)
}
