import type { SegmentHeader } from '../codec/format.js'
import type { EntryPositions } from '../codec/memory.js'
import type { SegmentInfo } from '../types.js'

/** Where the content of a segment ends, and what is known of it. */
export interface SegmentEnd {
  /** Offset behind the last commit that is part of the log. */
  offset: number
  lastIndex: number
  /** CRC of that commit, or of the predecessor's last when there is none. */
  commitCrc: number
  /** Start of that commit; 0 when unknown or there is none. */
  commitOffset: number
  minTimestamp: number
  maxTimestamp: number
  /** Term of the last entry; 0 in a log that never held one. */
  lastTerm: number
}

/**
 * A segment of the chain. All of it is fixed once sealed; of the active one `end` moves with each commit, and only the committer
 * moves it.
 */
export class Segment {
  readonly header: SegmentHeader
  readonly path: string
  /** Offset of the first commit. */
  readonly contentStart: number
  end: SegmentEnd
  sealed: boolean
  /** Milliseconds since the Unix epoch at which it was sealed; meaningless before. */
  sealedAt = 0
  /** Offset of every entry, in units of the format's alignment; undefined until somebody looks for an entry by index. */
  offsets: EntryPositions | undefined
  /** When `offsets` was last used, as its readers count; 0 while it is not among those that may be dropped. */
  offsetsUse = 0

  constructor(header: SegmentHeader, path: string, contentStart: number, end: SegmentEnd, sealed: boolean) {
    this.header = header
    this.path = path
    this.contentStart = contentStart
    this.end = end
    this.sealed = sealed
  }

  get id(): number {
    return this.header.id
  }

  get firstIndex(): number {
    return this.header.firstIndex
  }

  get lastIndex(): number {
    return this.end.lastIndex
  }

  get isEmpty(): boolean {
    return this.end.lastIndex < this.header.firstIndex
  }

  info(): SegmentInfo {
    const { minTimestamp, maxTimestamp, lastIndex, offset } = this.end
    const info: SegmentInfo = {
      id: this.id,
      path: this.path,
      firstIndex: this.firstIndex,
      lastIndex,
      entries: lastIndex - this.firstIndex + 1,
      bytes: offset,
      sealed: this.sealed,
    }
    if (!this.isEmpty && Number.isFinite(minTimestamp) && Number.isFinite(maxTimestamp)) {
      info.firstTimestamp = minTimestamp
      info.lastTimestamp = maxTimestamp
    }
    return info
  }
}

/** The end of a segment that holds nothing yet. */
export function emptyEnd(header: SegmentHeader, contentStart: number): SegmentEnd {
  return {
    offset: contentStart,
    lastIndex: header.firstIndex - 1,
    commitCrc: header.predecessor?.commitCrc ?? 0,
    commitOffset: 0,
    minTimestamp: Infinity,
    maxTimestamp: -Infinity,
    lastTerm: header.predecessor?.lastTerm ?? 0,
  }
}

/** The range of entries that a repair declared lost and `index` lies in; undefined when it is in none. */
export function findGap(segments: readonly Segment[], index: number): (IndexGap & { segment: Segment }) | undefined {
  for (const segment of segments) {
    const { gap } = segment.header
    if (gap !== undefined && gap.firstIndex <= index && index <= gap.lastIndex) return { ...gap, segment }
  }
  return undefined
}

type IndexGap = NonNullable<SegmentHeader['gap']>

/** Finds the segment that holds `index` in a list ordered by index; undefined when none does. */
export function findSegment(segments: readonly Segment[], index: number): Segment | undefined {
  let low = 0
  let high = segments.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if (segments[middle]!.firstIndex <= index) low = middle
    else high = middle - 1
  }
  const candidate = segments[low]
  return candidate !== undefined && candidate.firstIndex <= index && index <= candidate.lastIndex
    ? candidate
    : undefined
}
