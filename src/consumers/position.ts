import type { LogEpoch } from '../contract.js'
import { WalError } from '../errors.js'

/**
 * A place in a log's history: behind the entry `index` as it was written in that epoch. An index alone would not do: after a
 * truncation other entries may carry it.
 */
export interface Position {
  readonly index: number
  readonly epochCounter: number
  /** 16 hex digits. */
  readonly epochId: string
}

/** The position behind the entry `index`, in the history these epochs tell. */
export function positionAt(index: number, epochs: readonly LogEpoch[]): Position {
  const epoch = epochs.findLast(({ startIndex }) => startIndex <= index) ?? epochs[0]!
  return { index, epochCounter: epoch.counter, epochId: epoch.id }
}

/** Entries that a position counts as read and the log no longer has. */
export interface Loss {
  readonly firstIndex: number
  readonly lastIndex: number
}

/** What a reader at this position has read of a history that was taken back; undefined when all of it stands. */
export function lossAt({ index, epochCounter, epochId }: Position, epochs: readonly LogEpoch[]): Loss | undefined {
  const newest = epochs.at(-1)!
  const own = epochs.find(({ counter }) => counter === epochCounter)
  const isForeign = epochCounter > newest.counter || (own !== undefined && own.id !== epochId)
  let end = isForeign ? (own ?? newest).startIndex - 1 : Infinity
  for (const { counter, startIndex } of epochs) if (counter > epochCounter) end = Math.min(end, startIndex - 1)
  if (!isForeign && index <= end) return undefined
  return { firstIndex: Math.min(end + 1, index), lastIndex: index }
}

/** The error of a consumer at a position whose entries were taken back. */
export function lostAfter(name: string, { firstIndex, lastIndex }: Loss): WalError {
  const message =
    `Consumer '${name}' has read up to entry ${lastIndex}, but what it read from ${firstIndex} on is no longer part of the log ` +
    '(truncateAfter, a power cut under a lax sync policy, or a restored backup). Undo its effects, then seek().'
  return new WalError('WAL_TRUNCATED', message, { lost: 'after', index: lastIndex, firstIndex, lastIndex })
}

/** As users store it with their views. */
export function formatPosition({ index, epochCounter, epochId }: Position): string {
  return `${index}-${epochCounter}-${epochId}`
}

/** What `formatPosition` gave; undefined for any other text. */
export function parsePosition(text: string): Position | undefined {
  const match = /^(\d{1,16})-(\d{1,16})-([0-9a-f]{16})$/.exec(text)
  if (match === null) return undefined
  const index = Number(match[1])
  const epochCounter = Number(match[2])
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(epochCounter)) return undefined
  return { index, epochCounter, epochId: match[3]! }
}
