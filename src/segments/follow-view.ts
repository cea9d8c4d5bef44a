import type { Epoch, Format } from '../codec/format.js'
import type { Manifest, Mark } from '../codec/manifest.js'
import { WalError } from '../errors.js'
import { isMissing } from '../file-system/errno.js'
import type { FileSystem } from '../file-system/types.js'
import { boundBy, buildChain, type Claim, type SegmentFile } from './chain.js'
import { readCatalog, readMark, readSegmentFiles } from './load.js'
import { chainSegments } from './opening.js'
import { emptyEnd, type Segment } from './segment.js'

/** What a follower may show of a log: nothing in it can be taken back by any recovery of the writer. */
export interface FollowView {
  manifest: Manifest
  firstIndex: number
  /** The last index that is known to be durable. */
  lastIndex: number
  /** Oldest first. The newest one ends where it is known to be durable. */
  segments: readonly Segment[]
  /** Of the newest segment. */
  epoch: Epoch
  /** The epochs that manifest and segments name, oldest first. */
  epochs: readonly Epoch[]
}

/** The files were read while the writer changed them, and do not fit together. Reading them again helps. */
export class Inconsistent extends Error {}

/**
 * Reads a log beside its writer. Takes no lock, so what is read one after the other may be of different moments: it is looked
 * at in an order in which the writer's own order of writing shows that. Throws Inconsistent when it does, and WAL_CORRUPT for
 * what looks like damage and may be the same.
 */
export async function loadFollowView(
  fs: FileSystem,
  directory: string,
  format: Format,
  manifest: Manifest,
): Promise<FollowView> {
  const files = await readFiles(fs, directory, format)
  const { linked, firstIndex } = buildChain(files, manifest)
  const newest = linked.at(-1)
  if (newest === undefined) throw new Inconsistent('the log is being created')
  // Last: what it says must be covered by what was read before.
  const mark = await readMark(fs, directory, manifest.logId)
  if (mark !== undefined && isAhead(mark, newest)) throw new Inconsistent('the mark is ahead of the segments')
  const { offset, lastIndex } = boundOf(manifest, mark, linked)
  if (lastIndex >= newest.firstIndex && offset === 0)
    throw new Inconsistent('the end of the newest segment is not known')
  const end = { ...emptyEnd(newest.header, newest.contentStart), minTimestamp: -Infinity, maxTimestamp: Infinity }
  if (lastIndex >= newest.firstIndex) Object.assign(end, { offset, lastIndex })
  return {
    manifest,
    firstIndex,
    lastIndex: Math.max(lastIndex, firstIndex - 1),
    segments: chainSegments(linked, end),
    epoch: newest.header.epoch,
    epochs: mergeEpochs(manifest, linked),
  }
}

async function readFiles(fs: FileSystem, directory: string, format: Format): Promise<SegmentFile[]> {
  try {
    return await readSegmentFiles(fs, directory, format, await readCatalog(fs, directory))
  } catch (error) {
    if (isMissing(error)) throw new Inconsistent('a segment was removed while it was looked at', { cause: error })
    throw error
  }
}

function isAhead(mark: Claim, { id, header }: SegmentFile): boolean {
  if (mark.epoch.counter !== header.epoch.counter) return mark.epoch.counter > header.epoch.counter
  return mark.epoch.id !== header.epoch.id || mark.segmentId > id
}

/** The higher of mark and floor: both were written after the sync of what they name. */
function boundOf(
  manifest: Manifest,
  mark: Claim | undefined,
  linked: readonly SegmentFile[],
): { offset: number; lastIndex: number } {
  const floor: Claim = { ...manifest.floor, epoch: manifest.epochs.at(-1)! }
  const bound = boundBy(floor, linked)
  if (mark === undefined) return bound
  const other = boundBy(mark, linked)
  return { offset: Math.max(bound.offset, other.offset), lastIndex: Math.max(bound.lastIndex, other.lastIndex) }
}

function mergeEpochs(manifest: Manifest, linked: readonly SegmentFile[]): Epoch[] {
  const byCounter = new Map<number, Epoch>()
  for (const epoch of [...manifest.epochs, ...linked.map(file => file.header.epoch)]) {
    const known = byCounter.get(epoch.counter)
    if (known !== undefined && known.id !== epoch.id) throw otherHistory(linked.at(-1)!.path)
    byCounter.set(epoch.counter, epoch)
  }
  return [...byCounter.values()].sort((a, b) => a.counter - b.counter)
}

/** Whether the mark only moves on in the segment that is known as the newest. */
export function isAdvance(mark: Mark, view: FollowView): boolean {
  const { epoch, segments, manifest } = view
  return (
    mark.logId === manifest.logId &&
    mark.epoch.counter === epoch.counter &&
    mark.epoch.id === epoch.id &&
    mark.segmentId === segments.at(-1)!.id
  )
}

/**
 * The last index that both views have in common: entries above it that were shown are no longer part of the log, or other
 * ones by now. Infinity: nothing was taken back. Throws WAL_CORRUPT when the directory holds another log, or another history of it.
 */
export function commonIndex(before: FollowView, after: FollowView): number {
  const path = after.segments.at(-1)!.path
  if (before.manifest.logId !== after.manifest.logId) throw otherHistory(path)
  const last = before.epochs.at(-1)!
  const same = after.epochs.find(epoch => epoch.counter === last.counter)
  if (same !== undefined && same.id !== last.id) throw otherHistory(path)
  if (after.epochs.at(-1)!.counter < last.counter) throw new Inconsistent('an older state of the log')
  // So many epochs have passed that nobody remembers where this one ended.
  if (same === undefined) return 0
  const since = after.epochs.filter(epoch => epoch.counter > last.counter)
  return Math.min(Number.POSITIVE_INFINITY, ...since.map(epoch => epoch.startIndex - 1))
}

function otherHistory(path: string): WalError {
  const message = `${path} belongs to another log, or to another history of this one, than was followed so far. Was a backup put in its place? Follow it anew.`
  return new WalError('WAL_CORRUPT', message, { kind: 'foreign', segment: path })
}

/** The segments of a new view; those that only grew stay the same objects, with what readers know of them. */
export function adoptSegments(before: readonly Segment[], after: readonly Segment[]): Segment[] {
  const known = new Map(before.map(segment => [segment.path, segment]))
  return after.map(fresh => {
    const old = known.get(fresh.path)
    if (old === undefined || old.header.salt !== fresh.header.salt || fresh.lastIndex < old.lastIndex) return fresh
    if (fresh.end.offset < old.end.offset) return fresh
    old.end = fresh.end
    old.sealed = fresh.sealed
    old.sealedAt = fresh.sealedAt
    return old
  })
}
