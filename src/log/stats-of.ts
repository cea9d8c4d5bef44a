import type { WalStats } from '../types.js'
import type { Committer } from './committer.js'

/** What the committer and its store know of themselves; cheap enough to be asked often. */
export function statsOf({
  store,
  backlog,
  statistics,
}: Committer): Omit<WalStats, 'openTransactions' | 'consumers' | 'cursors'> {
  let usedBytes = 0
  for (const segment of store.segments) usedBytes += segment.end.offset
  return {
    ...statistics.snapshot(),
    pendingBytes: backlog.bytes,
    pendingEntries: backlog.entries,
    segments: store.segments.length,
    usedBytes,
    io: store.io,
  }
}
