import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { checkOptions } from './check-options.js'
import { BLOCK_VERSION } from './codec/block.js'
import type { Format } from './codec/format.js'
import type { Manifest } from './codec/manifest.js'
import { inspectConsumers } from './consumers/inspect.js'
import { WalError } from './errors.js'
import { isMissing } from './file-system/errno.js'
import { withIoErrors } from './file-system/io-error.js'
import { livingHolder } from './file-system/lock-owner.js'
import { nodeFileSystem } from './file-system/node.js'
import type { FileSystem } from './file-system/types.js'
import { boundBy, buildChain, type Claim, type SegmentFile } from './segments/chain.js'
import { createFormat } from './segments/create-format.js'
import { readCatalog, readManifest, readMark, readSegmentFiles } from './segments/load.js'
import { CONSUMERS_NAME, LOCK_NAME } from './segments/name.js'
import { chainSegments } from './segments/opening.js'
import { scanSegment } from './segments/scan.js'
import { emptyEnd, type SegmentEnd } from './segments/segment.js'
import { drive } from './segments/window.js'
import type { ConsumerInfo, SegmentInfo } from './types.js'

/** What a log is, as its files say. */
export interface WalInspection {
  format: 'binary' | 'ndjson'
  encoding: string
  /** Version of the format. */
  version: number
  firstIndex: number
  /** Last entry: beside a living writer the last one that it has marked as durable. */
  lastIndex: number
  segments: SegmentInfo[]
  consumers: ConsumerInfo[]
  /** The writer, if there is one. */
  lockedBy?: { pid: number; host: string }
}

export interface InspectOptions {
  /** The FileSystem of walrus-wal/testing. Default: the real one. */
  fileSystem?: unknown
}

const optionRules = {
  fileSystem: { must: 'be a FileSystem', isType: (value: unknown) => typeof value === 'object' && value !== null },
}

/**
 * Tells what the log in `directory` is without opening it: reads manifest, headers and, where the log was not closed, the newest
 * segment. Writes nothing, takes no lock, may run beside the writer. It is no check of the content: that is `verifyWal`.
 *
 * Rejects with WAL_NOT_FOUND (no log there), WAL_CORRUPT, WAL_UNSUPPORTED_VERSION, WAL_IO.
 */
export async function inspectWal(directory: string, options: InspectOptions = {}): Promise<WalInspection> {
  if (typeof directory !== 'string' || directory === '') throw new TypeError('inspectWal needs the path of a directory')
  checkOptions('inspectWal()', options, optionRules)
  const fs = (options.fileSystem as FileSystem | undefined) ?? nodeFileSystem
  const path = resolve(directory)
  await assertIsLog(fs, path)
  return withIoErrors('inspecting the log in', path, () => inspectBesideWriter(fs, path))
}

/** A writer may remove a segment between our reading its name and its header: then the log is looked at anew. */
const ATTEMPTS = 5

async function inspectBesideWriter(fs: FileSystem, directory: string): Promise<WalInspection> {
  for (let attempt = 1; ; attempt++) {
    const before = await readManifest(fs, directory)
    try {
      return await inspect(fs, directory)
    } catch (error) {
      const isUnchanged = isDeepStrictEqual(before, await readManifest(fs, directory))
      if (attempt === ATTEMPTS || (isUnchanged && !isMissing(error))) throw error
    }
  }
}

async function assertIsLog(fs: FileSystem, directory: string): Promise<void> {
  const found = await withIoErrors('inspecting', directory, () => fs.stat(directory))
  if (found !== undefined) {
    const catalog = await withIoErrors('listing', directory, () => readCatalog(fs, directory))
    if (catalog.hasManifest || catalog.segments.length > 0) return
  }
  throw new WalError('WAL_NOT_FOUND', `There is no log in ${directory}.`)
}

async function inspect(fs: FileSystem, directory: string): Promise<WalInspection> {
  const holder = await livingHolder(fs, `${directory}/${LOCK_NAME}`)
  // What claims how far the log reaches is read first, so that it never claims more than the files hold that are read then.
  const manifest = await readManifest(fs, directory)
  const mark = await readMark(fs, directory, manifest.logId)
  const format = createFormat(manifest.format, manifest.logId)
  const files = await readSegmentFiles(fs, directory, format, await readCatalog(fs, directory))
  const { linked, firstIndex } = buildChain(files, manifest)
  const end = await endOf({ fs, format, manifest, mark, linked, isWritten: holder !== undefined })
  const segments = end === undefined ? [] : chainSegments(linked, end).map(segment => segment.info())
  const lastIndex = end?.lastIndex ?? firstIndex - 1
  const consumers = await inspectConsumers(fs, `${directory}/${CONSUMERS_NAME}`, { firstIndex, lastIndex, segments })
  const inspection: WalInspection = {
    format: manifest.format,
    encoding: manifest.encoding,
    version: BLOCK_VERSION,
    firstIndex,
    lastIndex,
    segments,
    consumers,
  }
  if (holder !== undefined) inspection.lockedBy = { pid: holder.pid, host: holder.host }
  return inspection
}

interface Newest {
  fs: FileSystem
  format: Format
  manifest: Manifest
  mark: Claim | undefined
  linked: readonly SegmentFile[]
  isWritten: boolean
}

/** Where the newest segment ends; undefined while there is none. */
async function endOf({ fs, format, manifest, mark, linked, isWritten }: Newest): Promise<SegmentEnd | undefined> {
  const newest = linked.at(-1)
  if (newest === undefined) return undefined
  const { floor, closed } = manifest
  const { header, contentStart, path } = newest
  const empty = emptyEnd(header, contentStart)
  if (closed && floor.segmentId === newest.id) return { ...empty, ...floor, lastIndex: floor.index }
  if (isWritten) {
    const claims: Claim[] = [{ ...floor, epoch: manifest.epochs.at(-1)! }, ...(mark === undefined ? [] : [mark])]
    const bounds = claims.map(claim => boundBy(claim, linked))
    const offset = Math.max(contentStart, header.publishedEnd, ...bounds.map(bound => bound.offset))
    const lastIndex = Math.max(empty.lastIndex, header.publishedLastIndex, ...bounds.map(bound => bound.lastIndex))
    return { ...empty, offset, lastIndex }
  }
  const file = await fs.open(path, 'read')
  try {
    return (await drive(file, scanSegment(format, header, newest))).end
  } finally {
    await file.close()
  }
}
