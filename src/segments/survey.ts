import type { Epoch, Format, FormatName } from '../codec/format.js'
import { decodeManifest, MANIFEST_MAGIC, type Manifest } from '../codec/manifest.js'
import { WalError } from '../errors.js'
import { isMissing } from '../file-system/errno.js'
import { ioError } from '../file-system/io-error.js'
import { TwoSlotFile } from '../file-system/two-slot-file.js'
import type { FileSystem } from '../file-system/types.js'
import type { Finding } from '../types.js'
import type { Claim, SegmentFile } from './chain.js'
import { interpretManifest, readCatalog, readMark, readSegmentFile } from './load.js'
import { type Catalog, MANIFEST_NAME } from './name.js'

/** What a log's directory holds, damage included: where opening gives up, this goes on and notes what it found. */
export interface Survey {
  directory: string
  catalog: Catalog
  /** As stored, or, where neither slot is readable, as the headers of the segments let it be guessed. */
  manifest: Manifest
  isManifestRebuilt: boolean
  /** Read before the segments were listed, so that it never claims more than they hold. */
  mark: Claim | undefined
  format: Format
  /** Segments whose header is readable, by id. */
  files: SegmentFile[]
  /** Files under the name of a segment whose header is not readable. */
  headerless: Headerless[]
  findings: Finding[]
}

export interface Headerless {
  path: string
  /** What its name says. */
  id: number
  firstIndex: number
  fileBytes: number
}

export type CreateFormat = (name: FormatName, logId: string) => Format

/**
 * Reads names, manifest, mark and headers. Writes nothing and takes no lock. Throws WAL_NOT_FOUND where there is no log,
 * WAL_UNSUPPORTED_VERSION for files of a later version, WAL_IO; damage is never an exception.
 */
export async function surveyLog(fs: FileSystem, directory: string, createFormat: CreateFormat): Promise<Survey> {
  const findings: Finding[] = []
  const stored = await readStoredManifest(fs, directory, findings)
  const mark = stored && (await readMark(fs, directory, stored.logId))
  const catalog = await listLog(fs, directory)
  if (stored === undefined && catalog.segments.length === 0 && findings.length === 0) throw noLog(directory)
  if (!catalog.hasManifest) {
    const message = `${directory}/${MANIFEST_NAME} is not there, so the log's extent is known from the segments only.`
    findings.push({ kind: 'manifest', message })
  }
  const headers = await readAllHeaders(fs, directory, { createFormat, catalog, stored })
  findings.push(...headers.findings)
  const { files, headerless } = headers
  const manifest = stored ?? rebuildManifest(files)
  const format = createFormat(manifest.format, manifest.logId)
  return {
    directory,
    catalog,
    manifest,
    isManifestRebuilt: stored === undefined,
    mark,
    format,
    files,
    headerless,
    findings,
  }
}

type Headers = Pick<Survey, 'files' | 'headerless' | 'findings'>

/** Without a manifest the format is the one in which more headers make sense. */
async function readAllHeaders(
  fs: FileSystem,
  directory: string,
  { createFormat, catalog, stored }: { createFormat: CreateFormat; catalog: Catalog; stored: Manifest | undefined },
): Promise<Headers> {
  const names: FormatName[] = stored === undefined ? ['binary', 'ndjson'] : [stored.format]
  const tried: Headers[] = []
  for (const name of names) tried.push(await readHeaders(fs, directory, createFormat(name, ''), catalog))
  return tried.reduce((best, other) => (other.files.length > best.files.length ? other : best))
}

function noLog(directory: string): WalError {
  return new WalError('WAL_NOT_FOUND', `There is no log in ${directory}.`)
}

async function listLog(fs: FileSystem, directory: string): Promise<Catalog> {
  try {
    return await readCatalog(fs, directory)
  } catch (error) {
    throw isMissing(error) ? noLog(directory) : ioError('listing', directory, error)
  }
}

async function readStoredManifest(
  fs: FileSystem,
  directory: string,
  findings: Finding[],
): Promise<Manifest | undefined> {
  const path = `${directory}/${MANIFEST_NAME}`
  const found = await TwoSlotFile.inspect(fs, path, MANIFEST_MAGIC).catch(error => {
    throw isMissing(error) ? noLog(directory) : ioError('reading', path, error)
  })
  if (found.kind === 'unsupported') interpretManifest(path, found)
  const manifest = found.kind === 'ok' ? decodeManifest(Buffer.from(found.payload)) : undefined
  if (found.kind === 'missing') return undefined
  if (manifest === undefined) {
    const message = `${path} is damaged in both slots, so the log's extent is known from the segments only.`
    findings.push({ kind: 'manifest', message })
  } else if (found.kind === 'ok' && found.damagedSlot !== undefined) {
    const { slot, offset } = found.damagedSlot
    const message = `${path}: slot ${slot} of two is damaged; the other one counts. The next close of the log writes both.`
    findings.push({ kind: 'manifest', offset, message })
  }
  return manifest
}

async function readHeaders(fs: FileSystem, directory: string, format: Format, catalog: Catalog): Promise<Headers> {
  const headers: Headers = { files: [], headerless: [], findings: [] }
  for (const { name, id, firstIndex } of catalog.segments) {
    const path = `${directory}/${name}`
    try {
      headers.files.push({ id, firstIndex, ...(await readSegmentFile(fs, path, format)) })
    } catch (error) {
      // One that went between being listed and being read is missed by the links if it was part of the log.
      if (isMissing(error)) continue
      const finding = unreadable(path, firstIndex, error)
      headers.findings.push(finding)
      const size = (await fs.stat(path))?.size ?? 0
      if (finding.kind === 'corrupt') headers.headerless.push({ path, id, firstIndex, fileBytes: size })
    }
  }
  return headers
}

/** The finding for a segment whose header could not be read; what is no damage is thrown. */
function unreadable(path: string, firstIndex: number, error: unknown): Finding {
  const { code, message } = error as NodeJS.ErrnoException
  if (error instanceof WalError && error.code === 'WAL_CORRUPT')
    return { kind: 'corrupt', segment: path, offset: 0, firstIndex, message }
  if (code === 'EIO')
    return { kind: 'corrupt', segment: path, offset: 0, firstIndex, message: `${path} cannot be read: ${message}` }
  if (code === 'ELOOP' || code === 'EISDIR' || code === 'EINVAL')
    return {
      kind: 'foreign',
      segment: path,
      message: `${path} has a segment's name and is no regular file: ${message}`,
    }
  throw ioError('reading', path, error)
}

/** What the headers of the segments say of the log: the first index is the lowest there is, and nothing is known to be durable. */
function rebuildManifest(files: readonly SegmentFile[]): Manifest {
  const newest = newestOf(files)
  const own = files.filter(file => file.header.logId === newest?.header.logId)
  const epochs = new Map<number, Epoch>()
  for (const { header } of own) epochs.set(header.epoch.counter, header.epoch)
  const firstIndex = Math.min(...own.map(file => file.header.firstIndex), Infinity)
  const nothing = { counter: 0, id: '0'.repeat(16), startIndex: 1 }
  return {
    logId: newest?.header.logId ?? '0'.repeat(32),
    format: newest?.header.format ?? 'binary',
    encoding: newest?.header.encoding ?? '',
    firstIndex: firstIndex === Infinity ? 1 : firstIndex,
    newestId: 0,
    epochs: epochs.size === 0 ? [nothing] : [...epochs.values()].sort((a, b) => a.counter - b.counter),
    closed: false,
    backup: false,
    floor: {
      segmentId: 0,
      offset: 0,
      index: 0,
      commitOffset: 0,
      minTimestamp: Infinity,
      maxTimestamp: -Infinity,
      lastTerm: 0,
    },
  }
}

/** The newest segment of the log most of them belong to: one that strayed here must not speak for all. */
function newestOf(files: readonly SegmentFile[]): SegmentFile | undefined {
  const votes = new Map<string, number>()
  for (const { header } of files) votes.set(header.logId, (votes.get(header.logId) ?? 0) + 1)
  const rank = ({ header }: SegmentFile) => votes.get(header.logId)!
  return [...files].sort((a, b) => rank(b) - rank(a) || b.header.id - a.header.id)[0]
}
