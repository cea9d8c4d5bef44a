import type { Format, ScanStop, SegmentHeader } from '../codec/format.js'
import {
  EntryPositions,
  noNotes,
  POSITION_MASK,
  type ScanNotes,
  type ScanState,
  startScan,
  type Window,
} from '../codec/memory.js'
import { emptyEnd, type Segment, type SegmentEnd } from './segment.js'
import { type Walk, WINDOW_BYTES } from './window.js'

/** What a walk over a segment's content found. Nothing is judged here: recovery, verify and repair do that. */
export interface ScanReport {
  /** Behind the last whole commit. */
  end: SegmentEnd
  /** The whole commits, in order; of one that was verified alone nothing is noted here. */
  commits: ScanNotes['commits']
  /** Largest offset that some readable commit, also one behind the damage, proves to have been synced. */
  provenEnd: number
  damage: Damage | undefined
}

/** Bytes behind the last whole commit that are not zero, or zeros where a later commit proves that there was one. */
export interface Damage {
  offset: number
  reason: string
  /** Bytes from there to the last one that is not zero. */
  bytes: number
  /** Highest index that a readable commit behind the damage names; 0 when there is none. */
  lastIndexSeen: number
  /** Set when the first thing not understood is an intact entry or commit of a later version. */
  unsupportedFlags: number | undefined
}

/** Walks a segment's commits from its start to the end of the file or to `limit`, then searches behind what stopped it. */
export function* scanSegment(
  format: Format,
  header: SegmentHeader,
  from: { contentStart: number; fileBytes: number },
): Walk<ScanReport> {
  const notes = noNotes()
  const state = startScan({
    binding: format.bind(header),
    maxEntryBytes: header.maxEntryBytes,
    offset: from.contentStart,
    limit: from.fileBytes,
    index: header.firstIndex,
    previousCrc: header.predecessor?.commitCrc ?? 0,
    notes,
  })
  const { commits } = notes
  const report: ScanReport = { end: emptyEnd(header, from.contentStart), commits, provenEnd: 0, damage: undefined }
  const stop = yield* walkCommits(format, state, report)
  while ((commits.at(-1)?.offset ?? -1) >= state.wholeEnd) commits.pop()
  report.end.minTimestamp = notes.minTimestamp
  report.end.maxTimestamp = notes.maxTimestamp
  report.end.offset = state.wholeEnd
  report.end.lastIndex = state.wholeIndex - 1
  report.end.commitCrc = state.previousCrc ?? 0
  report.end.commitOffset = state.lastCommitOffset
  report.provenEnd = state.provenEnd
  if (stop.kind !== 'end') yield* searchBehind(format, state, stop, report)
  return report
}

/**
 * How much an opening scans at a time. Less than a reader's windows: its code has just been loaded, and the kernel's loops run faster
 * from the first call after they were compiled well.
 */
const SCAN_BYTES = 1 << 18

/** Walks until something stops it that reading on cannot mend. */
function* walkCommits(format: Format, state: ScanState, report: ScanReport): Walk<Exclude<ScanStop, { kind: 'more' }>> {
  const found = new EntryPositions()
  let wanted = SCAN_BYTES
  for (;;) {
    const { offset, index } = state
    const window = yield { offset, length: Math.min(wanted, Math.max(state.limit - offset, 0)) }
    found.clear()
    const stop = format.scan(window, state, found)
    const whole = state.wholeIndex - index
    if (whole > 0) report.end.lastTerm = termOf(format, window, found, whole)
    if (stop.kind !== 'more') return stop
    wanted = Math.max(SCAN_BYTES, stop.need)
    if (window.length < Math.min(wanted, state.limit - offset) && state.offset === offset) {
      return { kind: 'bad', offset: state.offset, reason: 'the file ends inside an entry', blank: false }
    }
  }
}

/** Term of the last of the first `count` entries found in a window. */
export function termOf(format: Format, window: Window, found: EntryPositions, count = found.count): number {
  const alone = new EntryPositions(1)
  alone.push(found.slots[count - 1]! & POSITION_MASK)
  let term = 0
  format.eachStamp(window, alone, (_, found) => {
    term = found
  })
  return term
}

/** Term of the last entry of an offset table; its bytes lie below `limit`. */
function* termOfLast(format: Format, offsets: EntryPositions, limit: number): Walk<number> {
  const offset = (offsets.slots[offsets.count - 1]! & POSITION_MASK) * format.alignment
  const window = yield { offset, length: limit - offset }
  const first = new EntryPositions(1)
  first.push(0)
  return termOf(format, window, first)
}

/** Looks for evidence behind the damage: the last byte that is not zero, and commits that are whole enough to testify. */
function* searchBehind(
  format: Format,
  state: ScanState,
  stop: Exclude<ScanStop, { kind: 'more' | 'end' }>,
  report: ScanReport,
): Walk<void> {
  const from = report.end.offset
  let lastByte = from
  let lastIndexSeen = 0
  const step = format.alignment
  // Windows overlap by a page so that a commit header on their border is seen whole.
  for (let offset = from; offset < state.limit; offset += WINDOW_BYTES) {
    const window = yield { offset, length: Math.min(WINDOW_BYTES + 4096, state.limit - offset) }
    lastByte = Math.max(lastByte, offset + lastNonZero(window.bytes, window.length) + 1)
    for (let position = 0; position < Math.min(WINDOW_BYTES, window.length); position += step) {
      const probe = format.probeCommit(window, position, state.binding)
      if (probe === undefined) continue
      if (Number.isSafeInteger(probe.provenEnd)) report.provenEnd = Math.max(report.provenEnd, probe.provenEnd)
      lastIndexSeen = Math.max(lastIndexSeen, probe.firstIndex + probe.count - 1)
    }
  }
  if (lastByte === from && report.provenEnd <= from) return
  report.damage = {
    offset: from,
    reason: stop.kind === 'bad' ? stop.reason : 'an entry of a later version',
    bytes: lastByte - from,
    lastIndexSeen,
    unsupportedFlags: stop.kind === 'unsupported' ? stop.flags : undefined,
  }
}

function lastNonZero(bytes: Uint8Array, length: number): number {
  let at = length - 1
  while (at >= 0 && bytes[at] === 0) at--
  return at
}

/** A walk over a segment of the chain from its first commit to its end. */
export function startSegmentScan(format: Format, segment: Segment): ScanState {
  const { header, end, contentStart } = segment
  return startScan({
    binding: format.bind(header),
    maxEntryBytes: header.maxEntryBytes,
    offset: contentStart,
    limit: end.offset,
    index: header.firstIndex,
    previousCrc: header.predecessor?.commitCrc ?? 0,
  })
}

/** Walks content that must be whole, up to `state.limit`; calls back after each window. Throws ScanFailure at the first bad byte. */
export function* walkWhole(format: Format, segment: Segment, state: ScanState, visit: WindowVisitor): Walk<void> {
  const found = new EntryPositions()
  let wanted = WINDOW_BYTES
  while (state.offset < state.limit) {
    const offset = state.offset
    const length = Math.min(wanted, state.limit - offset)
    const window = yield { offset, length }
    found.clear()
    const stop = format.scan(window, state, found)
    if (stop.kind === 'end') assertEndsAsNamed(segment, state)
    if (visit(window, found) === 'stop' || stop.kind === 'end') return
    // The file ends before its content does. Where the window was whole, a longer one follows.
    const starved = stop.kind === 'more' && state.offset === offset && window.length < length
    if (stop.kind !== 'more' || starved) throw new ScanFailure(segment, stop)
    wanted = Math.max(WINDOW_BYTES, stop.need)
  }
}

/**
 * A sealed segment ends with the commit that its successor goes on from. One of another copy of the log, which went on by itself,
 * can be whole, of the same length and of the right indexes: only this tells it.
 */
export function assertEndsAsNamed(segment: Segment, { wholeEnd, previousCrc, lastCommitOffset }: ScanState): void {
  const { sealed, end } = segment
  if (!sealed || wholeEnd !== end.offset || previousCrc === undefined || previousCrc === end.commitCrc) return
  const reason = 'its last commit is another than the one its successor goes on from'
  throw new ScanFailure(segment, { kind: 'bad', offset: lastCommitOffset, reason, blank: false })
}

type WindowVisitor = (window: Window, found: EntryPositions) => 'stop' | undefined

/** Adds to a segment's offset table what lies from `state` to its limit. */
export function walkOffsets(format: Format, segment: Segment, state: ScanState, offsets: EntryPositions): Walk<void> {
  return walkWhole(format, segment, state, (window, found) => {
    offsets.pushScaled(found, window.start, format.alignment)
    return undefined
  })
}

/** Finds the end and the CRC of the commit that holds `index`. */
export function* walkToIndex(
  format: Format,
  segment: Segment,
  index: number,
): Walk<Pick<SegmentEnd, 'offset' | 'commitCrc' | 'commitOffset' | 'lastTerm'>> {
  const offsets = new EntryPositions()
  yield* walkOffsets(format, segment, startSegmentScan(format, segment), offsets)
  let next = index - segment.firstIndex + 1
  while (next < offsets.count && offsets.slots[next]! >= 0) next++
  const limit =
    next === offsets.count
      ? segment.end.offset
      : (offsets.slots[next]! & POSITION_MASK) * format.alignment - format.commitPrefixBytes
  const state = { ...startSegmentScan(format, segment), limit }
  yield* walkWhole(format, segment, state, () => undefined)
  offsets.count = index - segment.firstIndex + 1
  const lastTerm = yield* termOfLast(format, offsets, limit)
  return { offset: state.wholeEnd, commitCrc: state.commitCrc, commitOffset: state.lastCommitOffset, lastTerm }
}

/** A walk over content that must be whole met something else. Callers turn it into a WalError with the range concerned. */
export class ScanFailure extends Error {
  readonly segment: Segment
  readonly stop: ScanStop

  constructor(segment: Segment, stop: ScanStop) {
    super(stop.kind === 'bad' ? stop.reason : stop.kind)
    this.segment = segment
    this.stop = stop
  }
}
