import type { Epoch, Predecessor, SegmentHeader } from '../codec/format.js'
import type { Manifest } from '../codec/manifest.js'
import { WalError } from '../errors.js'

/** A segment file whose header was read. */
export interface SegmentFile {
  path: string
  /** What its name says. */
  id: number
  firstIndex: number
  header: SegmentHeader
  contentStart: number
  fileBytes: number
}

export interface Chain {
  /** The segments the log consists of, oldest first; the last one is the newest. Empty only while a log is being created. */
  linked: SegmentFile[]
  firstIndex: number
  /** Wholly below `firstIndex`: left over from a truncation or retention that a crash cut short. */
  below: SegmentFile[]
  /** Of an older epoch and no longer linked: cut off by a truncation or an unclean open. */
  dead: SegmentFile[]
}

/**
 * Follows the links from the newest segment down to the one that holds the log's first index. Pure. Throws WAL_CORRUPT for
 * whatever the rules of docs/FORMAT.md do not explain; decides nothing about the newest segment's content.
 */
export function buildChain(files: readonly SegmentFile[], manifest: Manifest): Chain {
  const byId = indexById(files, manifest)
  const newest = files.reduce<SegmentFile | undefined>((a, b) => (a === undefined || b.id > a.id ? b : a), undefined)
  if (newest === undefined || newest.id < manifest.newestId) {
    if (newest === undefined && manifest.newestId === 0)
      return { linked: [], firstIndex: manifest.firstIndex, below: [], dead: [] }
    throw missing(`segment ${manifest.newestId}, which the manifest names as the newest`, newest?.path)
  }
  const linked = [newest]
  let firstIndex = manifest.firstIndex
  for (let at = newest; ; at = linked.at(-1)!) {
    if (at.header.begins) {
      firstIndex = firstIndexAtBeginning(at, manifest)
      break
    }
    if (lowestIndexOf(at) <= firstIndex) break
    linked.push(predecessorOf(at, byId, firstIndex))
  }
  linked.reverse()
  return { linked, firstIndex, ...sortUnlinked(files, linked) }
}

function indexById(files: readonly SegmentFile[], manifest: Manifest): Map<number, SegmentFile> {
  const byId = new Map<number, SegmentFile>()
  for (const file of files) {
    const { header, path } = file
    if (header.logId !== manifest.logId) {
      const message = `${path} belongs to another log (id ${header.logId}, this one is ${manifest.logId}). Move it away.`
      throw new WalError('WAL_CORRUPT', message, { kind: 'foreign', segment: path })
    }
    if (header.id !== file.id || header.firstIndex !== file.firstIndex) {
      const found = `its header says segment ${header.id} from index ${header.firstIndex}`
      throw new WalError('WAL_CORRUPT', `${path} is not what its name says: ${found}. Was it renamed or copied?`, {
        kind: 'duplicate',
        segment: path,
      })
    }
    byId.set(file.id, file)
  }
  return byId
}

function predecessorOf(at: SegmentFile, byId: Map<number, SegmentFile>, firstIndex: number): SegmentFile {
  const link = at.header.predecessor!
  const found = byId.get(link.id)
  if (found === undefined) {
    const details = { firstIndex, lastIndex: link.lastIndex }
    throw missing(`segment ${link.id}, the predecessor of ${at.path}`, at.path, details)
  }
  if (link.lastIndex + 1 !== lowestIndexOf(at) || found.firstIndex > at.firstIndex) {
    throw new WalError('WAL_CORRUPT', `${at.path} does not continue ${found.path}: their indexes do not meet.`, {
      kind: 'missing',
      ...rangeOf(found, link),
    })
  }
  if (found.fileBytes < link.endOffset) {
    const message = `${found.path} has ${found.fileBytes} bytes, but its successor says that it ends at ${link.endOffset}. Is it an older copy?`
    throw new WalError('WAL_CORRUPT', message, { kind: 'corrupt', offset: found.fileBytes, ...rangeOf(found, link) })
  }
  assertEpochsFollow(found.header.epoch, at.header.epoch, found.path)
  return found
}

function rangeOf({ firstIndex, path }: SegmentFile, { lastIndex }: Predecessor) {
  return { firstIndex, lastIndex, segment: path }
}

function assertEpochsFollow(older: Epoch, newer: Epoch, path: string): void {
  const sameCounter = older.counter === newer.counter
  if (older.counter > newer.counter || (sameCounter && older.id !== newer.id)) {
    const message = `${path} was written in another history of this log (epoch ${older.counter}). Is it from a backup that went on by itself?`
    throw new WalError('WAL_CORRUPT', message, { kind: 'foreign', segment: path })
  }
}

/**
 * Where a segment without predecessor starts the log. One of a newer epoch than the manifest's which begins that epoch comes from a
 * `reset` that was not noted there yet.
 */
function firstIndexAtBeginning(first: SegmentFile, manifest: Manifest): number {
  const known = manifest.epochs.at(-1)!
  const { epoch } = first.header
  if (epoch.counter > known.counter && epoch.startIndex === first.firstIndex) return first.firstIndex
  if (lowestIndexOf(first) > manifest.firstIndex) {
    throw missing(`the segments from index ${manifest.firstIndex}`, first.path, {
      firstIndex: manifest.firstIndex,
      lastIndex: first.firstIndex - 1,
    })
  }
  return manifest.firstIndex
}

/** First index a segment answers for: entries that a repair declared lost in its header are not missing. */
export function lowestIndexOf({ header }: Pick<SegmentFile, 'header'>): number {
  return header.gap?.firstIndex ?? header.firstIndex
}

function sortUnlinked(files: readonly SegmentFile[], linked: readonly SegmentFile[]): Pick<Chain, 'below' | 'dead'> {
  const oldest = linked[0]!
  const newestEpoch = linked.at(-1)!.header.epoch.counter
  const below: SegmentFile[] = []
  const dead: SegmentFile[] = []
  if (linked.length === files.length) return { below, dead }
  const isLinked = new Set(linked)
  for (const file of files) {
    if (isLinked.has(file)) continue
    if (file.id < oldest.id) below.push(file)
    else if (file.header.epoch.counter < newestEpoch) dead.push(file)
    else {
      const message = `${file.path} is not linked to the rest of the log although it is of the same epoch. Was it restored from a copy?`
      throw new WalError('WAL_CORRUPT', message, { kind: 'duplicate', segment: file.path })
    }
  }
  return { below, dead }
}

function missing(
  what: string,
  near: string | undefined,
  range: { firstIndex?: number; lastIndex?: number } = {},
): WalError {
  const message = `${what[0]!.toUpperCase()}${what.slice(1)}, is missing. Restore the file, or use repairWal to keep what is left.`
  return new WalError('WAL_CORRUPT', message, {
    kind: 'missing',
    ...(near === undefined ? {} : { segment: near }),
    ...range,
  })
}

/** A durable position some file of the log claims, with the epoch it was reached in. */
export interface Claim {
  epoch: Epoch
  segmentId: number
  offset: number
  index: number
}

/**
 * What a claim of durability still binds: an offset in the newest segment and a last index. Later epochs may have taken
 * back what lies at or above their start, so of an older epoch's claim only what lies below binds.
 */
export function boundBy(claim: Claim, linked: readonly SegmentFile[]): { offset: number; lastIndex: number } {
  const newest = linked.at(-1)!
  let lastIndex = claim.index
  for (const { header } of linked) {
    if (header.epoch.counter > claim.epoch.counter) lastIndex = Math.min(lastIndex, header.epoch.startIndex - 1)
  }
  const sameHistory = newest.header.epoch.counter === claim.epoch.counter && newest.header.epoch.id === claim.epoch.id
  return { offset: sameHistory && claim.segmentId === newest.id ? claim.offset : 0, lastIndex }
}
