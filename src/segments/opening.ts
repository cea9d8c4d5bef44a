import { randomBytes } from 'node:crypto'
import { dirname } from 'node:path'
import type { Clock } from '../clock.js'
import type { Epoch, Format, FormatName, SegmentHeader } from '../codec/format.js'
import { encodeManifest, MANIFEST_MAGIC, type Manifest } from '../codec/manifest.js'
import { WalError } from '../errors.js'
import { withIoErrors } from '../file-system/io-error.js'
import { closingOnError, TwoSlotFile } from '../file-system/two-slot-file.js'
import type { File, FileSystem } from '../file-system/types.js'
import type { Logger, RecoveryReport } from '../types.js'
import { buildChain, type Chain, type SegmentFile } from './chain.js'
import { nextEpoch } from './epoch.js'
import { interpretManifest, readCatalog, readMarkSync, readSegmentFiles } from './load.js'
import { MarkWriter } from './mark-writer.js'
import { type Catalog, indexName, MANIFEST_NAME, MARK_NAME } from './name.js'
import { PublishDeclined, publishSegment } from './publish.js'
import { emptyEnd, Segment, type SegmentEnd } from './segment.js'
import { floorAt, predecessorOf, SegmentStore } from './segment-store.js'
import { type Io, isRefusal, SegmentWriter } from './segment-writer.js'
import { type Cut, copyCommits, cutAt, examineTail, type TailFinding } from './tail.js'
import type { ZeroAheadPlan } from './zero-ahead.js'

export interface OpeningContext {
  fs: FileSystem
  clock: Clock
  directory: string
  logger: Logger
  /** What the options ask of a log that is created here, or what an existing one must match. */
  format: FormatName | undefined
  encoding: string
  startIndex: number
  createIfMissing: boolean
  strict: boolean
  limits: { maxEntryBytes: number; maxBatchBytes: number }
  io: Io | 'auto'
  zeroAhead: ZeroAheadPlan
  createFormat: (name: FormatName, logId: string) => Format
}

export interface Opened {
  store: SegmentStore
  report: RecoveryReport
}

/**
 * Opens the files of a log for write: creates it, or brings it back after whatever ended the last writer. The caller holds the
 * lock. Nothing is deleted before the manifest, all headers of the chain and the tail are understood; nothing is exposed that a
 * power cut could still take back.
 */
export async function openStore(context: OpeningContext): Promise<Opened> {
  const { fs, clock, directory } = context
  const startedAt = clock.monotonic()
  await withIoErrors('opening', directory, () => fs.syncDirectory(directory))
  const catalog = await withIoErrors('listing', directory, () => readCatalog(fs, directory))
  for (const name of catalog.foreign)
    context.logger.warn({ directory, name }, 'a name in the log directory is not ours and is left alone')
  const opening = await openManifest(context, catalog)
  try {
    const opened = await withIoErrors('opening the log in', directory, () => openSegments(context, catalog, opening))
    opened.report.durationMs = clock.monotonic() - startedAt
    return opened
  } catch (error) {
    await opening.file.close()
    throw error
  }
}

interface ManifestOpening {
  file: TwoSlotFile
  manifest: Manifest
  format: Format
}

async function openManifest(context: OpeningContext, catalog: Catalog): Promise<ManifestOpening> {
  const { fs, directory } = context
  const path = `${directory}/${MANIFEST_NAME}`
  const opened = await withIoErrors('opening', path, () => TwoSlotFile.open(fs, path, MANIFEST_MAGIC))
  if (opened.kind === 'missing') {
    if (catalog.segments.length > 0) interpretManifest(path, { kind: 'corrupt' })
    return withIoErrors('creating', path, () => createManifest(context))
  }
  try {
    const manifest = interpretManifest(path, opened)
    assertMatches(context, manifest)
    if (opened.kind !== 'ok') throw new Error('unreachable: interpretManifest throws for these')
    return { file: opened.file, manifest, format: context.createFormat(manifest.format, manifest.logId) }
  } catch (error) {
    if (opened.kind === 'ok') await opened.file.close()
    throw error
  }
}

function assertMatches({ directory, format, encoding }: OpeningContext, manifest: Manifest): void {
  if (format !== undefined && format !== manifest.format) {
    throw new WalError(
      'WAL_MISMATCH',
      `The log in ${directory} has format '${manifest.format}', not '${format}'. Leave the option out.`,
    )
  }
  if (encoding !== manifest.encoding) {
    const message = `The log in ${directory} was written with encoding '${manifest.encoding}', not '${encoding}'. Open it with that one.`
    throw new WalError('WAL_MISMATCH', message)
  }
}

/** The manifest comes first and names no segment: what a crash leaves then is an unfinished creation, completed at the next open. */
async function createManifest(context: OpeningContext): Promise<ManifestOpening> {
  const { fs, directory } = context
  if (!context.createIfMissing)
    throw new WalError('WAL_NOT_FOUND', `There is no log in ${directory}, and createIfMissing is false.`)
  const logId = randomBytes(16).toString('hex')
  const format = context.createFormat(context.format ?? 'binary', logId)
  const epoch: Epoch = { counter: 1, id: randomBytes(8).toString('hex'), startIndex: context.startIndex }
  const manifest: Manifest = {
    logId,
    format: format.name,
    encoding: context.encoding,
    firstIndex: context.startIndex,
    newestId: 0,
    epochs: [epoch],
    closed: false,
    backup: false,
    floor: {
      segmentId: 0,
      offset: 0,
      index: context.startIndex - 1,
      commitOffset: 0,
      minTimestamp: Infinity,
      maxTimestamp: -Infinity,
      lastTerm: 0,
    },
  }
  // Before the manifest has its name: once it is there, nobody looks after the directory's own name any more.
  await fs.syncDirectory(dirname(directory))
  const file = await TwoSlotFile.publish(fs, `${directory}/${MANIFEST_NAME}`, MANIFEST_MAGIC, encodeManifest(manifest))
  await closingOnError(file, fs.syncDirectory(directory))
  return { file, manifest, format }
}

async function openSegments(context: OpeningContext, catalog: Catalog, opening: ManifestOpening): Promise<Opened> {
  const { fs, directory } = context
  const files = readSegmentFiles(fs, directory, opening.format, catalog)
  const chain = buildChain(files, opening.manifest)
  const newest = chain.linked.at(-1)
  if (newest === undefined) return firstSegment(context, catalog, opening)
  const source = fs.openSync(newest.path)
  try {
    const mark = readMarkSync(fs, directory, opening.manifest.logId)
    const { format, manifest } = opening
    const finding = await examineTail(source, { format, manifest, linked: chain.linked, mark, strict: context.strict })
    const tail = { chain, source, finding }
    return await (finding.decision === 'continue'
      ? continueIn(context, catalog, opening, tail)
      : succeed(context, catalog, opening, tail))
  } finally {
    source.closeSync()
  }
}

interface Tail {
  chain: Chain
  /** The newest segment, open for reading. */
  source: File
  finding: TailFinding
}

async function firstSegment(context: OpeningContext, catalog: Catalog, opening: ManifestOpening): Promise<Opened> {
  const { fs, directory, clock } = context
  const { manifest, format } = opening
  const header = newHeader(context, manifest, {
    id: 1,
    firstIndex: manifest.firstIndex,
    epoch: manifest.epochs.at(-1)!,
    now: clock.now(),
  })
  const { path, contentStart } = await publish({ fs, directory, format, header })
  const segment = new Segment(header, path, contentStart, emptyEnd(header, contentStart), false)
  const saved = await saveManifest(opening, { newestId: 1, floor: floorAt(1, segment.end) })
  const removedFiles = await removeFiles(context, { temporary: catalog.temporary, segments: [] })
  const store = await finish(context, { ...opening, manifest: saved }, [segment])
  return { store, report: { clean: true, cutBytes: 0, copiedEntries: 0, removedFiles, durationMs: 0 } }
}

/** The log was closed in order: go on where it ended. Writes nothing but the mark. */
async function continueIn(
  context: OpeningContext,
  catalog: Catalog,
  opening: ManifestOpening,
  tail: Tail,
): Promise<Opened> {
  const { chain, finding } = tail
  const segments = chainSegments(chain.linked, finding.report.end)
  const removedFiles = await removeFiles(context, {
    temporary: catalog.temporary,
    segments: [...chain.below, ...chain.dead],
  })
  const manifest = { ...opening.manifest, firstIndex: chain.firstIndex }
  const store = await finish(context, { ...opening, manifest }, segments)
  return { store, report: { clean: true, cutBytes: 0, copiedEntries: 0, removedFiles, durationMs: 0 } }
}

/** The log was not closed in order: publish a successor that holds what is not proven, and only then use it. */
async function succeed(
  context: OpeningContext,
  catalog: Catalog,
  opening: ManifestOpening,
  tail: Tail,
): Promise<Opened> {
  const { fs, directory, clock } = context
  const { format, manifest } = opening
  const { chain, source, finding } = tail
  const newest = chain.linked.at(-1)!
  const cut = await cutAt(source, format, newest, finding)
  const replaces = cut.kept.commitOffset === 0
  const now = clock.now()
  const epochs = mergeEpochs(manifest.epochs, newest.header.epoch)
  const epoch = nextEpoch(epochs, finding.report.end.lastIndex + 1)
  const plan = { id: newest.id + 1, firstIndex: cut.kept.lastIndex + 1, epoch, now }
  const header = { ...newHeader(context, manifest, plan), ...linkBehind(newest, cut, replaces, now) }
  let end: SegmentEnd | undefined
  const writeContent = async (file: File, contentStart: number) => {
    end = await copyCommits(source, format, newest, cut, { file, header, contentStart })
    return { publishedEnd: end.offset, publishedLastIndex: end.lastIndex }
  }
  const published = await publish({ fs, directory, format, header, writeContent })
  const active = new Segment(published.header, published.path, published.contentStart, end!, false)
  const older = chainSegments(chain.linked, cut.kept)
  const replaced = replaces ? older.pop()! : undefined
  const segments = [...older, active]
  const saved = await saveManifest(opening, {
    firstIndex: chain.firstIndex,
    newestId: active.id,
    epochs: [...epochs, epoch],
    floor: floorAt(active.id, active.end),
  })
  const isTorn = (finding.report.damage?.bytes ?? 0) > 0
  const doomed = [...chain.below, ...chain.dead, ...(replaced !== undefined && !isTorn ? [newest] : [])]
  const removedFiles = await removeFiles(context, { temporary: catalog.temporary, segments: doomed })
  const store = await finish(context, { ...opening, manifest: saved }, segments)
  return { store, report: reportOf(newest, finding, active.lastIndex - plan.firstIndex + 1, removedFiles) }
}

function linkBehind(
  newest: SegmentFile,
  cut: Cut,
  replaces: boolean,
  now: number,
): Pick<SegmentHeader, 'begins' | 'gap' | 'predecessor'> {
  const { begins, gap, predecessor } = newest.header
  if (replaces) return { begins, gap, predecessor }
  return { begins: false, gap: undefined, predecessor: predecessorOf({ id: newest.id, end: cut.kept }, now) }
}

function reportOf(
  newest: SegmentFile,
  finding: TailFinding,
  copiedEntries: number,
  removedFiles: string[],
): RecoveryReport {
  const { damage } = finding.report
  const report: RecoveryReport = {
    clean: false,
    cutBytes: damage?.bytes ?? 0,
    copiedEntries,
    removedFiles,
    durationMs: 0,
  }
  if (damage !== undefined && damage.bytes > 0) {
    report.cutFromIndex = finding.report.end.lastIndex + 1
    report.cutPath = newest.path
  }
  return report
}

/** The chain as readers see it: of every segment but the newest the end is what its successor says. */
export function chainSegments(linked: readonly SegmentFile[], newestEnd: SegmentEnd): Segment[] {
  return linked.map((file, i) => {
    const successor = linked[i + 1]?.header.predecessor
    if (successor === undefined) return new Segment(file.header, file.path, file.contentStart, newestEnd, false)
    const { endOffset, lastIndex, commitCrc, minTimestamp, maxTimestamp, lastTerm } = successor
    const end = { offset: endOffset, lastIndex, commitCrc, commitOffset: 0, minTimestamp, maxTimestamp, lastTerm }
    const segment = new Segment(file.header, file.path, file.contentStart, end, true)
    segment.sealedAt = successor.sealedAt
    return segment
  })
}

/** A crash between publishing a segment and noting its epoch leaves the manifest one behind. */
function mergeEpochs(known: readonly Epoch[], newest: Epoch): Epoch[] {
  return known.at(-1)!.counter < newest.counter ? [...known, newest] : [...known]
}

interface HeaderPlan {
  id: number
  firstIndex: number
  epoch: Epoch
  now: number
}

function newHeader(
  context: OpeningContext,
  manifest: Manifest,
  { id, firstIndex, epoch, now }: HeaderPlan,
): SegmentHeader {
  return {
    logId: manifest.logId,
    id,
    firstIndex,
    epoch,
    format: manifest.format,
    encoding: manifest.encoding,
    ...context.limits,
    salt: randomBytes(16).toString('hex'),
    createdAt: now,
    publishedEnd: 0,
    publishedLastIndex: 0,
    begins: true,
    gap: undefined,
    predecessor: undefined,
  }
}

async function publish(publication: Parameters<typeof publishSegment>[0]): ReturnType<typeof publishSegment> {
  try {
    return await publishSegment(publication)
  } catch (error) {
    throw error instanceof PublishDeclined ? error.cause : error
  }
}

async function saveManifest({ file, manifest }: ManifestOpening, patch: Partial<Manifest>): Promise<Manifest> {
  const saved = { ...manifest, closed: false, backup: false, ...patch }
  await file.write(encodeManifest(saved), { sync: true, both: true })
  return saved
}

async function removeFiles(
  context: OpeningContext,
  doomed: { temporary: string[]; segments: SegmentFile[] },
): Promise<string[]> {
  const { fs, directory, logger } = context
  const paths = doomed.temporary.map(name => `${directory}/${name}`)
  for (const { path } of doomed.segments) {
    paths.push(path)
    if ((await fs.stat(indexName(path))) !== undefined) paths.push(indexName(path))
  }
  for (const path of paths) {
    // An unfinished segment gave its name to the successor that was just published, and went with that.
    if ((await fs.stat(path)) !== undefined) await fs.unlink(path)
    logger.info({ path }, 'removed a file that an interrupted operation left')
  }
  if (paths.length > 0) await fs.syncDirectory(directory)
  return paths
}

async function finish(context: OpeningContext, opening: ManifestOpening, segments: Segment[]): Promise<SegmentStore> {
  const { fs, clock, directory, limits, zeroAhead, logger } = context
  const { manifest, format, file: manifestFile } = opening
  const active = segments.at(-1)!
  const writer = await openWriter(context, active)
  const epoch = manifest.epochs.at(-1)!
  const initial = {
    logId: manifest.logId,
    epoch,
    segmentId: active.id,
    offset: active.end.offset,
    index: active.lastIndex,
  }
  const path = `${directory}/${MARK_NAME}`
  const report = (error: unknown) =>
    logger.warn({ path, error }, 'the mark could not be written; followers lag until it can')
  const markFile = await closingOnError(writer, MarkWriter.open(fs, path, initial))
  const mark = new MarkWriter(clock, markFile, report)
  await mark.update(initial, true)
  const files = { manifestFile, mark, segments, writer }
  return new SegmentStore({ fs, clock, directory, format, manifest, ...files, limits, zeroAhead })
}

async function openWriter(
  { fs, io, zeroAhead }: OpeningContext,
  { header, path, end }: Segment,
): Promise<SegmentWriter> {
  // Text grows line by line, and `tail -f` would see the zeros of a block that is not full.
  const isText = header.format === 'ndjson'
  if (isText && io === 'direct')
    throw new WalError('WAL_INVALID_OPTION', `io is 'direct', but the format of ${path} is 'ndjson'. Use 'auto'.`)
  const at = { end: end.offset, zeroAhead }
  if (isText) return SegmentWriter.open(fs, path, 'buffered', at)
  try {
    return await SegmentWriter.open(fs, path, io, at)
  } catch (cause) {
    if (io !== 'direct' || !isRefusal(cause)) throw cause
    const message = `io is 'direct', but the file system of ${path} has no direct I/O. Use 'auto' or 'buffered'.`
    throw new WalError('WAL_INVALID_OPTION', message, { cause })
  }
}
