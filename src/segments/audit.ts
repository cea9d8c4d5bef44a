import type { Format, ScanStop, SegmentHeader } from '../codec/format.js'
import { EntryPositions, type ScanState, startScan } from '../codec/memory.js'
import { type Walk, WINDOW_BYTES } from './window.js'

/** Bytes of a segment that are no whole commit. */
export interface Damage {
  offset: number
  /** Where whole commits go on, or the content ends. */
  end: number
  reason: string
  /** First entry that is not there. */
  firstIndex: number
  /** Last one: below the first whole commit behind; undefined when nothing follows in this file. */
  lastIndex: number | undefined
  /** Set when an intact entry or commit of a later version stands at `offset`. */
  unsupportedFlags: number | undefined
  /** Entries in whole commits before it. */
  entriesBefore: number
}

/** What a walk over all of a segment's content found; it goes on behind damage. */
export interface Audit {
  /** Entries in whole commits. */
  entries: number
  /** Behind the last whole commit. */
  endOffset: number
  lastIndex: number
  /** Highest index that any readable commit header names, also of a commit that is not whole; 0 when there is none. */
  lastIndexSeen: number
  /** CRC of the last whole commit; undefined when there is none. */
  commitCrc: number | undefined
  /** The largest `provenEnd` of any readable commit. */
  provenEnd: number
  minTimestamp: number
  maxTimestamp: number
  damages: Damage[]
  /** Whole commits, one right behind the other: what lies between damages. */
  stretches: Stretch[]
  /** Damages beyond the first MAX_DAMAGES. */
  damagesLeftOut: number
}

export interface Stretch {
  offset: number
  end: number
  firstIndex: number
  lastIndex: number
}

export interface AuditRange {
  contentStart: number
  /** The walk ends here: the end that the successor names, or the file's size. */
  limit: number
}

/** More than anybody reads, and a bound on memory for a file that was damaged all over. */
const MAX_DAMAGES = 1000

/** Walks whole commits from the content's start, and on behind whatever is not one, to the limit. */
export function* auditContent(format: Format, header: SegmentHeader, range: AuditRange): Walk<Audit> {
  const { contentStart, limit } = range
  const audit = emptyAudit(header, contentStart)
  let state = stateAt(format, header, { offset: contentStart, index: header.firstIndex, limit })
  state.previousCrc = header.predecessor?.commitCrc ?? 0
  let searchFrom = contentStart
  for (;;) {
    const { offset, index } = state
    const stop = yield* walkWholeCommits(format, state, audit)
    noteWhole(audit, state, { offset, index })
    if (stop.kind === 'end') return audit
    const next = yield* findCommit(format, state, Math.max(searchFrom, state.wholeEnd), audit)
    const end = next?.offset ?? (yield* lastNonZero(state.wholeEnd, limit))
    if (next !== undefined || end > state.wholeEnd) noteDamage(audit, state, stop, { end, nextIndex: next?.firstIndex })
    if (next === undefined) return audit
    state = stateAt(format, header, { offset: next.offset, index: next.firstIndex, limit })
    // Should this one prove to be damaged too, the search goes on behind it.
    searchFrom = next.offset + format.alignment
  }
}

function emptyAudit(header: SegmentHeader, contentStart: number): Audit {
  return {
    entries: 0,
    endOffset: contentStart,
    lastIndex: header.firstIndex - 1,
    lastIndexSeen: 0,
    commitCrc: undefined,
    provenEnd: 0,
    minTimestamp: Infinity,
    maxTimestamp: -Infinity,
    damages: [],
    stretches: [],
    damagesLeftOut: 0,
  }
}

function stateAt(
  format: Format,
  header: SegmentHeader,
  at: { offset: number; index: number; limit: number },
): ScanState {
  const { maxEntryBytes } = header
  return startScan({ binding: format.bind(header), maxEntryBytes, previousCrc: undefined, ...at })
}

type Stop = Exclude<ScanStop, { kind: 'more' }>

function* walkWholeCommits(format: Format, state: ScanState, audit: Audit): Walk<Stop> {
  const found = new EntryPositions()
  let wanted = WINDOW_BYTES
  for (;;) {
    const { offset } = state
    const length = Math.min(wanted, Math.max(state.limit - offset, 0))
    const window = yield { offset, length }
    found.clear()
    const stop = format.scan(window, state, found)
    format.eachStamp(window, found, timestamp => {
      audit.minTimestamp = Math.min(audit.minTimestamp, timestamp)
      audit.maxTimestamp = Math.max(audit.maxTimestamp, timestamp)
    })
    if (stop.kind !== 'more') return stop
    if (window.length < length && state.offset === offset)
      return { kind: 'bad', offset, reason: 'the file ends before its content does', blank: false }
    wanted = Math.max(WINDOW_BYTES, stop.need)
  }
}

function noteWhole(audit: Audit, state: ScanState, from: { offset: number; index: number }): void {
  audit.provenEnd = Math.max(audit.provenEnd, state.provenEnd)
  if (state.lastCommitOffset === 0) return
  audit.entries += state.wholeIndex - from.index
  const { wholeEnd: end, wholeIndex } = state
  audit.stretches.push({ offset: from.offset, end, firstIndex: from.index, lastIndex: wholeIndex - 1 })
  audit.endOffset = state.wholeEnd
  audit.lastIndex = state.wholeIndex - 1
  audit.commitCrc = state.previousCrc
}

/** Two damages with no whole commit between them are one. */
function noteDamage(
  audit: Audit,
  state: ScanState,
  stop: Exclude<Stop, { kind: 'end' }>,
  { end, nextIndex }: { end: number; nextIndex: number | undefined },
): void {
  const lastIndex = nextIndex === undefined ? undefined : nextIndex - 1
  const before = audit.damages.at(-1)
  if (before !== undefined && before.entriesBefore === audit.entries && before.end >= state.wholeEnd) {
    Object.assign(before, { end, lastIndex })
    return
  }
  if (audit.damages.length === MAX_DAMAGES) {
    audit.damagesLeftOut++
    return
  }
  audit.damages.push({
    offset: state.wholeEnd,
    end,
    reason: stop.kind === 'bad' ? stop.reason : 'an entry of a later version',
    firstIndex: state.wholeIndex,
    lastIndex,
    unsupportedFlags: stop.kind === 'unsupported' ? stop.flags : undefined,
    entriesBefore: audit.entries,
  })
}

/** The first commit header from `from` on that can continue the log; what it meets on the way testifies all the same. */
function* findCommit(
  format: Format,
  state: ScanState,
  from: number,
  audit: Audit,
): Walk<{ offset: number; firstIndex: number } | undefined> {
  const step = format.alignment
  // Windows overlap by a page so that a commit header on their border is seen whole.
  for (let offset = from; offset < state.limit; offset += WINDOW_BYTES) {
    const window = yield { offset, length: Math.min(WINDOW_BYTES + 4096, state.limit - offset) }
    for (let position = 0; position < Math.min(WINDOW_BYTES, window.length); position += step) {
      const probe = format.probeCommit(window, position, state.binding)
      if (probe === undefined) continue
      const { firstIndex, count, provenEnd } = probe
      if (probe.offset < from) continue
      if (Number.isSafeInteger(provenEnd)) audit.provenEnd = Math.max(audit.provenEnd, provenEnd)
      if (!Number.isSafeInteger(firstIndex) || firstIndex < state.wholeIndex) continue
      audit.lastIndexSeen = Math.max(audit.lastIndexSeen, firstIndex + count - 1)
      return { offset: probe.offset, firstIndex }
    }
  }
  return undefined
}

/** Behind the last byte in [from, limit) that is not zero; `from` when all are. */
function* lastNonZero(from: number, limit: number): Walk<number> {
  let end = from
  for (let offset = from; offset < limit; offset += WINDOW_BYTES) {
    const { bytes, length } = yield { offset, length: Math.min(WINDOW_BYTES, limit - offset) }
    let at = length - 1
    while (at >= 0 && bytes[at] === 0) at--
    if (at >= 0) end = offset + at + 1
  }
  return end
}
