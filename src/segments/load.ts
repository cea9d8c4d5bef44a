import type { Format, SegmentHeader } from '../codec/format.js'
import { decodeManifest, decodeMark, MANIFEST_MAGIC, MARK_MAGIC, type Manifest } from '../codec/manifest.js'
import { WalError } from '../errors.js'
import { readFullySync } from '../file-system/transfer.js'
import { type SlotContent, TwoSlotFile } from '../file-system/two-slot-file.js'
import type { FileSystem } from '../file-system/types.js'
import type { Claim, SegmentFile } from './chain.js'
import { type Catalog, classifyNames, MANIFEST_NAME, MARK_NAME } from './name.js'

/** Reads what a log's directory says of itself. Nothing here writes, so writers, followers and tools share it. */

export async function readCatalog(fs: FileSystem, directory: string): Promise<Catalog> {
  return classifyNames(await fs.list(directory))
}

/** The manifest of a directory that has one. Throws WAL_CORRUPT (kind 'manifest') and WAL_UNSUPPORTED_VERSION. */
export async function readManifest(fs: FileSystem, directory: string): Promise<Manifest> {
  const path = `${directory}/${MANIFEST_NAME}`
  const found = await TwoSlotFile.read(fs, path, MANIFEST_MAGIC)
  if (found.kind === 'missing') throw damagedManifest(path, 'is not there')
  return interpretManifest(path, found)
}

type ManifestContent =
  | { kind: 'ok'; payload: Uint8Array }
  | { kind: 'corrupt' }
  | { kind: 'unsupported'; version: number; incompatible: number }

export function interpretManifest(path: string, found: ManifestContent): Manifest {
  if (found.kind === 'unsupported') throw newerVersion(path, found.version)
  const manifest = found.kind === 'ok' ? decodeManifest(Buffer.from(found.payload)) : undefined
  if (manifest === undefined) throw damagedManifest(path, 'is damaged in both slots')
  return manifest
}

function damagedManifest(path: string, found: string): WalError {
  const message = `${path} ${found}, so the log's extent is unknown. Restore it, or let repairWal rebuild it from the segments.`
  return new WalError('WAL_CORRUPT', message, { kind: 'manifest' })
}

function newerVersion(path: string, version: number): WalError {
  const message = `${path} was written by a later version of walrus-wal (format ${version}); nothing was changed. Update the package.`
  return new WalError('WAL_UNSUPPORTED_VERSION', message)
}

/**
 * Reads the header of every segment. Throws WAL_CORRUPT and WAL_UNSUPPORTED_VERSION for one that cannot be understood. Blocking
 * calls: an opening has nothing else to do, and each header would be four trips through the thread pool.
 */
export function readSegmentFiles(fs: FileSystem, directory: string, format: Format, catalog: Catalog): SegmentFile[] {
  const buffer = Buffer.alloc(format.headerBytes)
  return catalog.segments.map(({ name, id, firstIndex }) => {
    const { path, header, contentStart, fileBytes } = readSegmentFile(fs, `${directory}/${name}`, format, buffer)
    return { path, id, firstIndex, header, contentStart, fileBytes }
  })
}

/** `buffer`: room for a header, for many calls; nothing of it is kept. */
export function readSegmentFile(
  fs: FileSystem,
  path: string,
  format: Format,
  buffer: Buffer = Buffer.alloc(format.headerBytes),
): Omit<SegmentFile, 'id' | 'firstIndex'> {
  const file = fs.openSync(path)
  try {
    const read = readFullySync(file, buffer, buffer.length, 0)
    const { header, contentStart } = decodeHeader(path, format, buffer.subarray(0, read))
    return { path, header, contentStart, fileBytes: file.sizeAtOpening ?? file.sizeSync() }
  } finally {
    file.closeSync()
  }
}

function decodeHeader(path: string, format: Format, bytes: Buffer): { header: SegmentHeader; contentStart: number } {
  const outcome = format.decodeHeader(bytes)
  if (outcome.kind === 'ok') return outcome
  if (outcome.kind === 'unsupported') throw newerVersion(path, outcome.version)
  const message = `${path} has no readable header. A segment's header is durable before its name is, so this is damage, not a crash.`
  throw new WalError('WAL_CORRUPT', message, { kind: 'corrupt', segment: path, offset: 0 })
}

/** As `readMark`, blocking, for whoever holds the lock: nobody is writing it. */
export function readMarkSync(fs: FileSystem, directory: string, logId: string): Claim | undefined {
  return claimOf(TwoSlotFile.readSync(fs, `${directory}/${MARK_NAME}`, MARK_MAGIC), logId)
}

/** The mark as a claim of durability. A mark that is missing, damaged or of another log claims nothing. */
export async function readMark(fs: FileSystem, directory: string, logId: string): Promise<Claim | undefined> {
  return claimOf(await TwoSlotFile.read(fs, `${directory}/${MARK_NAME}`, MARK_MAGIC), logId)
}

function claimOf(found: SlotContent | { kind: 'missing' }, logId: string): Claim | undefined {
  if (found.kind !== 'ok') return undefined
  const mark = decodeMark(Buffer.from(found.payload))
  return mark?.logId === logId ? mark : undefined
}
