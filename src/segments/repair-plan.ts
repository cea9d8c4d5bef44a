import type { SegmentHeader } from '../codec/format.js'
import type { Finding, RepairReport } from '../types.js'
import type { Damage } from './audit.js'
import type { Lineage } from './lineage.js'
import type { Survey } from './survey.js'
import type { Verdict } from './verify-segment.js'

/** A run of bytes that holds entries worth keeping, or that may. */
export interface Source {
  kind: 'commits' | 'entries'
  path: string
  /** Of the segment; undefined where it is not readable. */
  header: SegmentHeader | undefined
  maxEntryBytes: number
  offset: number
  end: number
  /** Indexes it has, or may have. */
  firstIndex: number
  lastIndex: number
}

export interface RepairPlan {
  /** In the order of their indexes. */
  sources: Source[]
  firstIndex: number
  /** The last entry that is known to have been there. */
  lastIndex: number
}

/** How far behind the last index that is known for certain a damaged end is searched. */
const UNKNOWN_ENTRIES = 4096
const DEFAULT_MAX_ENTRY_BYTES = 16 << 20

/** Decides what of a log is copied into the repaired one. */
export function planRepair(
  { survey, lineage, verdicts }: { survey: Survey; lineage: Lineage; verdicts: readonly Verdict[] },
  findings: readonly Finding[],
  strategy: RepairReport['strategy'],
): RepairPlan {
  const commits = verdicts.flatMap(wholeCommits)
  const { firstIndex } = lineage
  const known = [...commits, ...findings.filter(({ kind }) => kind !== 'torn')].map(({ lastIndex }) => lastIndex ?? 0)
  const lastIndex = Math.max(firstIndex - 1, ...known)
  if (strategy === 'truncate-at-damage') return { sources: untilDamage(commits, firstIndex), firstIndex, lastIndex }
  const damaged = [...verdicts.flatMap(damagedStretches), ...headerless(survey, verdicts, lastIndex)]
  const sources = [...commits, ...damaged].sort((a, b) => a.firstIndex - b.firstIndex || a.lastIndex - b.lastIndex)
  return { sources, firstIndex, lastIndex }
}

function wholeCommits({ target, audit, info }: Verdict): Source[] {
  const { path, header } = target
  return audit.stretches
    .filter(({ firstIndex }) => firstIndex <= info.lastIndex)
    .map(({ offset, end, firstIndex, lastIndex }) => ({
      ...({ kind: 'commits', path, header, maxEntryBytes: header.maxEntryBytes, offset, end, firstIndex } as const),
      lastIndex: Math.min(lastIndex, info.lastIndex),
    }))
}

/** Damage where content had been durable: what is torn had not been, and is left out as an opening would. */
function damagedStretches({ target, audit, torn }: Verdict): Source[] {
  const { path, header, named, proven } = target
  const known = named?.lastIndex ?? Math.max(proven.lastIndex, audit.lastIndexSeen)
  const isLost = (damage: Damage) => torn === undefined || damage.offset < torn.offset
  return audit.damages.filter(isLost).map(({ offset, end, firstIndex, lastIndex }) => ({
    ...({ kind: 'entries', path, header, maxEntryBytes: header.maxEntryBytes, offset, end, firstIndex } as const),
    lastIndex: lastIndex ?? (named === undefined ? Math.max(known, firstIndex + UNKNOWN_ENTRIES) : known),
  }))
}

/** Files whose header is not readable: their entries can still be told by their checksums. */
function headerless(survey: Survey, verdicts: readonly Verdict[], knownLastIndex: number): Source[] {
  return survey.headerless.map(({ path, id, firstIndex, fileBytes }) => {
    const successor = verdicts.find(({ target }) => target.header.predecessor?.id === id)?.target.header.predecessor
    const limits = verdicts.map(({ target }) => target.header.maxEntryBytes)
    return {
      ...({ kind: 'entries', path, header: undefined, offset: 0, firstIndex } as const),
      maxEntryBytes: Math.max(DEFAULT_MAX_ENTRY_BYTES, ...limits),
      end: successor?.endOffset ?? fileBytes,
      lastIndex: successor?.lastIndex ?? Math.max(knownLastIndex, firstIndex + UNKNOWN_ENTRIES),
    }
  })
}

/** The sources before the first index that is missing; one that an earlier repair declared lost is not. */
function untilDamage(commits: readonly Source[], firstIndex: number): Source[] {
  let next = firstIndex
  const kept: Source[] = []
  for (const source of [...commits].sort((a, b) => a.firstIndex - b.firstIndex)) {
    const gap = source.header?.gap
    if (gap !== undefined && gap.firstIndex <= next && source.firstIndex === gap.lastIndex + 1) next = source.firstIndex
    if (source.firstIndex > next) break
    kept.push(source)
    next = source.lastIndex + 1
  }
  return kept
}
