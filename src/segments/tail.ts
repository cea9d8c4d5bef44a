import type { Format, SegmentHeader } from '../codec/format.js'
import { kernel } from '../codec/kernel.js'
import type { Manifest } from '../codec/manifest.js'
import { allocateMemory, EntryPositions, type Memory, noNotes, type ScanNotes, startScan } from '../codec/memory.js'
import { WalError } from '../errors.js'
import { readFullySync, writeFully } from '../file-system/transfer.js'
import type { File } from '../file-system/types.js'
import { boundBy, type Claim, type SegmentFile } from './chain.js'
import { decideTail, type TailDecision } from './recovery.js'
import { type ScanReport, scanSegment, termOf, walkWhole } from './scan.js'
import { emptyEnd, Segment, type SegmentEnd } from './segment.js'
import { driveInTurns, type Walk, WINDOW_BYTES } from './window.js'

/** The newest segment as an opening finds it. */
export interface TailContext {
  format: Format
  manifest: Manifest
  linked: readonly SegmentFile[]
  mark: Claim | undefined
  strict: boolean
}

export interface TailFinding {
  decision: TailDecision
  report: ScanReport
  /** Content of the newest segment below this offset is proven to have been durable. */
  provenEnd: number
}

/** Looks at the newest segment and decides what to do about it. Throws for what must be refused. */
export async function examineTail(file: File, context: TailContext): Promise<TailFinding> {
  const newest = context.linked.at(-1)!
  const quick = await driveInTurns(file, verifyClosedEnd(newest, context))
  // A mark beyond the end comes from a later state of the log than manifest and segments: they are an older copy.
  if (quick !== undefined && reaches(quick, provenOf(quick, newest, context)))
    return { decision: 'continue', report: quick, provenEnd: quick.end.offset }
  const report = await driveInTurns(file, scanSegment(context.format, newest.header, newest))
  const proven = provenOf(report, newest, context)
  const decision = decideTail({
    closedAtEnd: isClosedAt(context.manifest, newest, report.end),
    provenIsWhole: reaches(report, proven),
    hasCommits: report.end.commitOffset > 0,
    torn: report.damage !== undefined && report.damage.bytes > 0,
    unsupported: report.damage?.unsupportedFlags !== undefined,
    strict: context.strict,
  })
  refuse(decision, newest, report, proven.lastIndex)
  return { decision, report, provenEnd: proven.offset }
}

function reaches({ end }: ScanReport, proven: { offset: number; lastIndex: number }): boolean {
  return end.offset >= proven.offset && end.lastIndex >= proven.lastIndex
}

function provenOf(
  report: ScanReport,
  newest: SegmentFile,
  { manifest, linked, mark }: TailContext,
): { offset: number; lastIndex: number } {
  const { floor } = manifest
  const claims: Claim[] = [{ ...floor, epoch: manifest.epochs.at(-1)! }]
  if (mark !== undefined) claims.push(mark)
  const bounds = claims.map(claim => boundBy(claim, linked))
  return {
    offset: Math.max(report.provenEnd, newest.header.publishedEnd, ...bounds.map(bound => bound.offset)),
    lastIndex: Math.max(...bounds.map(bound => bound.lastIndex)),
  }
}

function refuse(decision: TailDecision, newest: SegmentFile, report: ScanReport, provenLastIndex: number): void {
  const { end, damage } = report
  const where = { segment: newest.path, offset: end.offset, firstIndex: end.lastIndex + 1 }
  const lastIndex = Math.max(provenLastIndex, damage?.lastIndexSeen ?? 0, end.lastIndex + 1)
  const found = damage === undefined ? 'the content ends' : damage.reason
  if (decision === 'unsupported') {
    const message = `${newest.path} holds an entry of a later version of walrus-wal at offset ${end.offset}. Update the package.`
    throw new WalError('WAL_UNSUPPORTED_VERSION', message, where)
  }
  if (decision === 'corrupt') {
    const message = `${newest.path}: ${found} at offset ${end.offset}, but what stood there is known to have been durable (entries ${end.lastIndex + 1} to ${lastIndex}). Restore the file, or see repairWal.`
    throw new WalError('WAL_CORRUPT', message, { kind: 'corrupt', ...where, lastIndex })
  }
  if (decision === 'refuse-torn') {
    const message = `${newest.path} ends in ${damage!.bytes} bytes of an unfinished write at offset ${end.offset}, and recovery is 'strict'. Open with recovery: 'tolerate-torn-tail' to leave them out.`
    throw new WalError('WAL_CORRUPT', message, { kind: 'torn', ...where, lastIndex })
  }
}

function isClosedAt(manifest: Manifest, newest: SegmentFile, end: SegmentEnd): boolean {
  const { floor, closed } = manifest
  return closed && floor.segmentId === newest.id && floor.offset === end.offset && floor.index === end.lastIndex
}

/** After a close in order only the last commit and the zeros behind it need a look; undefined when that is not what is there. */
function* verifyClosedEnd(newest: SegmentFile, context: TailContext): Walk<ScanReport | undefined> {
  const { manifest, format } = context
  const { floor } = manifest
  const { header, contentStart, fileBytes } = newest
  if (!manifest.closed || floor.segmentId !== newest.id || floor.offset > fileBytes) return undefined
  if (!(yield* isZeroFrom(floor.offset, fileBytes))) return undefined
  const end: SegmentEnd = {
    ...emptyEnd(header, contentStart),
    offset: floor.offset,
    lastIndex: floor.index,
    minTimestamp: floor.minTimestamp,
    maxTimestamp: floor.maxTimestamp,
    lastTerm: floor.lastTerm,
  }
  const report: ScanReport = { end, commits: [], provenEnd: floor.offset, damage: undefined }
  if (floor.commitOffset === 0) return floor.offset === contentStart ? report : undefined
  const length = floor.offset - floor.commitOffset
  if (length <= 0 || floor.commitOffset < contentStart) return undefined
  const window = yield { offset: floor.commitOffset, length }
  const binding = format.bind(header)
  const firstIndex = format.firstIndexAt(window, 0, binding)
  if (firstIndex === undefined) return undefined
  const state = startScan({
    binding,
    maxEntryBytes: header.maxEntryBytes,
    offset: floor.commitOffset,
    limit: floor.offset,
    index: firstIndex,
    previousCrc: undefined,
  })
  const stop = format.scan(window, state, new EntryPositions())
  if (stop.kind !== 'end' || state.wholeIndex - 1 !== floor.index) return undefined
  Object.assign(end, { commitCrc: state.commitCrc, commitOffset: floor.commitOffset })
  return report
}

function* isZeroFrom(from: number, end: number): Walk<boolean> {
  for (let offset = from; offset < end; offset += WINDOW_BYTES) {
    const { words, bytes, length } = yield { offset, length: Math.min(WINDOW_BYTES, end - offset) }
    const wholeWords = length >> 2
    for (let i = 0; i < wholeWords; i++) if (words[i] !== 0) return false
    for (let i = wholeWords << 2; i < length; i++) if (bytes[i] !== 0) return false
  }
  return true
}

/** What an unclean opening keeps of the newest segment where it is, and what it copies into the successor. */
export interface Cut {
  /** End of what stays: a commit's end, at or below what is proven. */
  kept: SegmentEnd
  /** Commits above, in order; copied because nothing proves that they are on stable storage. */
  copied: { offset: number; end: number; firstIndex: number }[]
}

/** Divides the whole commits of a segment at the proven end. */
export async function cutAt(file: File, format: Format, newest: SegmentFile, finding: TailFinding): Promise<Cut> {
  const { report, provenEnd } = finding
  const segment = new Segment(newest.header, newest.path, newest.contentStart, report.end, false)
  const cut: Cut = { kept: emptyEnd(newest.header, newest.contentStart), copied: [] }
  const { commits, end: whole } = report
  let kept: ScanReport['commits'][number] | undefined
  for (const [i, commit] of commits.entries()) {
    const next = commits[i + 1]
    const end = next?.offset ?? whole.offset
    if (end > provenEnd) {
      cut.copied.push({ ...commit, end })
      continue
    }
    kept = commit
    cut.kept = { ...whole, offset: end, lastIndex: (next?.firstIndex ?? whole.lastIndex + 1) - 1 }
  }
  if (kept === undefined) return cut
  cut.kept.commitOffset = kept.offset
  Object.assign(cut.kept, await driveInTurns(file, endOfLastCommit(format, segment, cut.kept, kept.firstIndex)))
  return cut
}

function* endOfLastCommit(
  format: Format,
  segment: Segment,
  kept: SegmentEnd,
  firstIndex: number,
): Walk<Pick<SegmentEnd, 'commitCrc' | 'lastTerm'>> {
  const state = startScan({
    binding: format.bind(segment.header),
    maxEntryBytes: segment.header.maxEntryBytes,
    offset: kept.commitOffset,
    limit: kept.offset,
    index: firstIndex,
    previousCrc: undefined,
  })
  let { lastTerm } = kept
  yield* walkWhole(format, segment, state, (window, found) => {
    if (found.count > 0) lastTerm = termOf(format, window, found)
    return undefined
  })
  return { commitCrc: state.commitCrc, lastTerm }
}

export interface CopyTarget {
  file: File
  header: SegmentHeader
  contentStart: number
}

/** Writes the commits of `cut` again, framed for the new segment. Entries keep every byte, their checksums included. */
export async function copyCommits(
  source: File,
  format: Format,
  newest: SegmentFile,
  cut: Cut,
  target: CopyTarget,
): Promise<SegmentEnd> {
  const binding = format.bind(target.header)
  const end = emptyEnd(target.header, target.contentStart)
  for (const commit of cut.copied) {
    const { memory, found, notes } = readCommit(source, format, newest, commit)
    const length = commit.end - commit.offset
    end.minTimestamp = Math.min(end.minTimestamp, notes.minTimestamp)
    end.maxTimestamp = Math.max(end.maxTimestamp, notes.maxTimestamp)
    end.lastTerm = termOf(format, { ...memory, start: commit.offset, length }, found)
    const sealed = format.sealCommit(memory, 0, format.unsealCommit(memory, length), {
      binding,
      offset: end.offset,
      firstIndex: commit.firstIndex,
      count: found.count,
      provenEnd: end.offset,
      previousCrc: end.commitCrc,
    })
    // A copy: until the write has settled others may scan on the memory that all share.
    await writeFully(target.file, Buffer.from(memory.bytes.subarray(0, sealed.end)), end.offset)
    end.lastIndex = commit.firstIndex + found.count - 1
    end.commitCrc = sealed.crc
    end.commitOffset = end.offset
    end.offset += sealed.end
  }
  return end
}

/** A commit that was found whole, read again, with room for another frame; by the kernel where it has the room. */
function readCommit(
  file: File,
  format: Format,
  newest: SegmentFile,
  { offset, end, firstIndex }: Cut['copied'][number],
): { memory: Memory; found: EntryPositions; notes: ScanNotes } {
  const room = end - offset + format.commitSuffixBytes
  const memory = kernel !== undefined && room <= kernel.stage.bytes.length ? kernel.stage : allocateMemory(room)
  const length = readFullySync(file, memory.bytes, end - offset, offset)
  const found = new EntryPositions()
  const { header } = newest
  const notes = noNotes()
  const at = { offset, limit: end, index: firstIndex, previousCrc: undefined, notes }
  const state = startScan({ ...at, binding: format.bind(header), maxEntryBytes: header.maxEntryBytes })
  const stop = format.scan({ ...memory, start: offset, length }, state, found)
  if (stop.kind !== 'end') throw new Error(`A commit that was whole is not any more: ${newest.path} at ${offset}`)
  return { memory, found, notes }
}
