import type { Deferred } from './deferred.js'
import type { PendingCommit } from './pending-commit.js'

/** Something that must happen between two commits. */
export interface Task {
  kind: 'task'
  run: () => Promise<void>
  done: Deferred<void>
}

/** What the committer does, one thing after the other. */
export type Work = PendingCommit | Task

export function isTask(work: Work): work is Task {
  return 'kind' in work
}

/** Commits are written together up to this many bytes: large writes are faster. */
const WRITE_MAX_BYTES = 4 * 1024 * 1024

/**
 * The commit at the head of the queue, and of those behind it that are complete too and go to the same segment as many as make
 * half of them: whoever waits for the first half brings new entries while the second is being written.
 */
export function writtenTogether(
  head: PendingCommit,
  queue: readonly Work[],
  filling: PendingCommit | undefined,
): PendingCommit[] {
  const commits = [head]
  let bytes = head.end - head.start
  for (let i = 1; i < queue.length; i++) {
    const work = queue[i]!
    if (isTask(work) || work === filling || work.rotateBefore) break
    bytes += work.end - work.start
    if (bytes > 2 * WRITE_MAX_BYTES) break
    commits.push(work)
  }
  return commits.slice(0, Math.ceil(commits.length / 2))
}
