import type { Clock } from '../clock.js'
import type { ResolvedOptions } from '../options.js'
import type { SegmentStore } from '../segments/segment-store.js'
import { Admission } from './admission.js'
import type { PendingCommit } from './pending-commit.js'
import type { Tuning } from './tuning.js'

/** The admission of a log that goes on where `store` ends. */
export function openAdmission(
  store: SegmentStore,
  clock: Clock,
  options: ResolvedOptions<never, unknown> & Pick<Tuning, 'commitMaxBytes'>,
  onOpen: (commit: PendingCommit) => void,
): Admission {
  const { active, format } = store
  const isDirect = store.io === 'direct'
  const limits = { ...options, isDirect, segmentMaxEntries: options.rotation.maxEntries ?? Infinity }
  const fill = { bytes: active.end.offset - active.contentStart, entries: active.lastIndex - active.firstIndex + 1 }
  const from = { lastIndex: active.lastIndex, lastTerm: active.end.lastTerm, fill, onOpen }
  const admission = new Admission(format, limits, clock, from)
  // Entries above the active segment's own limits could not be told from damage when it is read.
  if (store.limitsGrew) admission.rotate()
  // What is written to a backup first goes into a segment of its own.
  if (store.isBackup) admission.startedSegment()
  return admission
}
