import { resolve } from 'node:path'
import { type Clock, systemClock } from './clock.js'
import { bytes } from './codec/encoding.js'
import type { Manifest } from './codec/manifest.js'
import { Consumers } from './consumers/consumers.js'
import { WalError } from './errors.js'
import { withIoErrors } from './file-system/io-error.js'
import { nodeFileSystem } from './file-system/node.js'
import type { FileSystem } from './file-system/types.js'
import { FollowLog } from './log/follow-log.js'
import { verifyOpenLog } from './log/verify-open-log.js'
import { type ResolvedFollowOptions, resolveFollowOptions } from './options.js'
import { FileReader } from './reader.js'
import { createFormat } from './segments/create-format.js'
import { type FollowView, Inconsistent, loadFollowView } from './segments/follow-view.js'
import { readManifest } from './segments/load.js'
import { MANIFEST_NAME } from './segments/name.js'
import type { Encoding, FollowOptions, RecoveryReport, WalReader } from './types.js'

/**
 * Opens a log for reading beside its writer, in this or another process. It takes no lock and never writes a byte; it shows what is
 * durable, within tens of milliseconds of becoming so, and follows rotation, truncation, and the writer's crash and restart.
 *
 * Rejects with WAL_NOT_FOUND (no log there yet), WAL_MISMATCH (another encoding; `bytes()` reads any), WAL_CORRUPT,
 * WAL_UNSUPPORTED_VERSION, WAL_IO, WAL_INVALID_OPTION; misuse by type is a TypeError.
 */
export function followWal<In, Out>(
  directory: string,
  options: FollowOptions & { encoding: Encoding<In, Out> },
): Promise<WalReader<Out>>
export function followWal(
  directory: string,
  options?: FollowOptions & { encoding?: undefined },
): Promise<WalReader<Buffer>>
export function followWal(
  directory: string,
  options: FollowOptions & { encoding?: Encoding<never, unknown> } = {},
): Promise<WalReader<unknown>> {
  return follow(directory, options, systemClock).then(({ wal }) => wal)
}

/** As `followWal`, with the clock given; gives the log behind what users hold too: for tests and the crash exploration. */
export async function follow(
  directory: string,
  given: FollowOptions & { encoding?: Encoding<never, unknown> },
  clock: Clock,
): Promise<{ wal: FileReader<unknown>; log: FollowLog<unknown> }> {
  if (typeof directory !== 'string' || directory === '') throw new TypeError('followWal needs the path of a directory')
  const options = resolveFollowOptions({ ...given, encoding: given.encoding ?? (bytes() as Encoding<never, unknown>) })
  const fs = (given.fileSystem as FileSystem | undefined) ?? nodeFileSystem
  const path = resolve(directory)
  const startedAt = clock.monotonic()
  const view = await withIoErrors('following', path, () => firstView(fs, clock, path, options))
  const durationMs = clock.monotonic() - startedAt
  const report: RecoveryReport = { clean: true, cutBytes: 0, copiedEntries: 0, removedFiles: [], durationMs }
  let log: FollowLog<unknown> | undefined
  const wal = new FileReader<unknown>({
    recoveryReport: report,
    createLog: events => {
      const { manifest } = view
      const format = createFormat(manifest.format, manifest.logId)
      const release = (): Promise<void> => consumers.end()
      const created = new FollowLog({ fs, clock, directory: path, format, view, events, release, ...options })
      const consumers = new Consumers({ log: created, history: created, fs, clock, directory: undefined, names: [] })
      log = created
      return { log: created, verify: asked => verifyOpenLog(fs, clock, created, asked), consumers }
    },
  })
  return { wal, log: log! }
}

const ATTEMPTS = 20
const RETRY_MS = 10

/** Beside a busy writer the files may not fit together at first. */
async function firstView(
  fs: FileSystem,
  clock: Clock,
  directory: string,
  { encoding }: ResolvedFollowOptions,
): Promise<FollowView> {
  if ((await fs.stat(`${directory}/${MANIFEST_NAME}`)) === undefined) throw notFound(directory)
  for (let attempt = 1; ; attempt++) {
    try {
      const manifest = await readManifest(fs, directory)
      if (manifest.newestId === 0) throw notFound(directory)
      assertReadable(directory, manifest, encoding)
      return await loadFollowView(fs, directory, createFormat(manifest.format, manifest.logId), manifest)
    } catch (error) {
      const mayPass = error instanceof Inconsistent || (error instanceof WalError && error.code === 'WAL_CORRUPT')
      if (!mayPass || attempt === ATTEMPTS) throw error
      await pause(clock)
    }
  }
}

function pause(clock: Clock): Promise<void> {
  return new Promise(resolve => {
    clock.setTimer(resolve, RETRY_MS, { keepAlive: true })
  })
}

function assertReadable(directory: string, manifest: Manifest, encoding: Encoding<never, unknown>): void {
  if (encoding.name === manifest.encoding || encoding.name === bytes().name) return
  const message = `The log in ${directory} was written with encoding '${manifest.encoding}', not '${encoding.name}'. Follow it with that one, or with bytes().`
  throw new WalError('WAL_MISMATCH', message)
}

function notFound(directory: string): WalError {
  const message = `There is no log in ${directory} yet. Open it for writing first, or try again later.`
  return new WalError('WAL_NOT_FOUND', message)
}
