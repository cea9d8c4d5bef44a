import { randomBytes } from 'node:crypto'
import type { Clock } from '../clock.js'
import type { Epoch, Format, Predecessor, SealedCommit, SegmentHeader } from '../codec/format.js'
import { encodeManifest, type Floor, type Manifest } from '../codec/manifest.js'
import type { EntryPositions, Memory } from '../codec/memory.js'
import type { TwoSlotFile } from '../file-system/two-slot-file.js'
import type { FileSystem } from '../file-system/types.js'
import { nextEpoch } from './epoch.js'
import type { MarkWriter } from './mark-writer.js'
import { indexName } from './name.js'
import { publishSegment } from './publish.js'
import { walkToIndex } from './scan.js'
import { emptyEnd, findGap, findSegment, Segment, type SegmentEnd } from './segment.js'
import { type Io, type Run, SegmentWriter } from './segment-writer.js'
import { freeze, type StoreSnapshot } from './snapshot.js'
import { drive } from './window.js'
import type { ZeroAheadPlan } from './zero-ahead.js'

/** What the store is made of once recovery has run. */
export interface StoreParts {
  fs: FileSystem
  clock: Clock
  directory: string
  format: Format
  manifest: Manifest
  manifestFile: TwoSlotFile
  mark: MarkWriter
  segments: readonly Segment[]
  /** Writes the newest segment. */
  writer: SegmentWriter
  /** Limits for entries and batches, as the options say now. */
  limits: { maxEntryBytes: number; maxBatchBytes: number }
  zeroAhead: ZeroAheadPlan
}

/** A commit as it lies in memory, ready but for its frame. */
export interface CommitBody {
  memory: Memory
  /** Position of the commit in `memory`; `end` is behind its last entry. */
  start: number
  end: number
  firstIndex: number
  count: number
  minTimestamp: number
  maxTimestamp: number
  lastTerm: number
  /** Positions of its entries in `memory`. */
  offsets: EntryPositions
}

/**
 * The files of an open log: the chain of segments, the active one, manifest and mark. Does what it is told, in the order it is
 * told: only the committer calls what writes, one call at a time. Errors are those of the file system; what they mean for the
 * log is the committer's business.
 */
export class SegmentStore {
  readonly directory: string
  readonly format: Format
  readonly #parts: StoreParts
  #segments: readonly Segment[]
  #writer: SegmentWriter
  #manifest: Manifest
  /** Bytes of the active segment below this are on stable storage. */
  #syncedEnd: number
  #binding: number
  #epochs: readonly Epoch[]

  constructor(parts: StoreParts) {
    this.#parts = parts
    this.directory = parts.directory
    this.format = parts.format
    this.#segments = parts.segments
    this.#writer = parts.writer
    this.#manifest = parts.manifest
    this.#syncedEnd = this.active.end.offset
    this.#binding = parts.format.bind(this.active.header)
    this.#epochs = knownEpochs(parts.segments, parts.manifest)
  }

  /** The chain, oldest first; replaced as a whole when it changes, so a reader may keep it. */
  get segments(): readonly Segment[] {
    return this.#segments
  }

  get active(): Segment {
    return this.#segments.at(-1)!
  }

  get firstIndex(): number {
    return this.#manifest.firstIndex
  }

  get epoch(): Epoch {
    return this.#manifest.epochs.at(-1)!
  }

  /** Every epoch known, oldest first; replaced as a whole when one begins. */
  get epochs(): readonly Epoch[] {
    return this.#epochs
  }

  get logId(): string {
    return this.#manifest.logId
  }

  get io(): Io {
    return this.#writer.io
  }

  /** Whether the active segment was made for smaller entries or batches than may come now. */
  get limitsGrew(): boolean {
    const { header } = this.active
    return (
      header.maxEntryBytes < this.#parts.limits.maxEntryBytes || header.maxBatchBytes < this.#parts.limits.maxBatchBytes
    )
  }

  /** Whether this is a backup that nothing was written to yet. */
  get isBackup(): boolean {
    return this.#manifest.backup
  }

  /** The files as they stand, for a backup of them. */
  snapshot(durableIndex: number): StoreSnapshot {
    const { active } = this
    return {
      segments: [...this.#segments.slice(0, -1), freeze(active)],
      manifest: this.#manifest,
      durableIndex: Math.max(durableIndex, active.firstIndex - 1),
    }
  }

  /**
   * Frames the commits for their places behind the last one, and writes them, all in one go. Returns the end that each makes; nothing
   * counts before `advance`.
   */
  async write(bodies: readonly CommitBody[]): Promise<SegmentEnd[]> {
    if (this.#manifest.closed) await this.#saveManifest({})
    const { end: before } = this.active
    const runs: Run[] = []
    const ends: SegmentEnd[] = []
    let end = before
    for (const body of bodies) {
      const sealed = this.#frame(body, end)
      runs.push({ memory: body.memory, start: body.start, end: sealed.end })
      end = endBehind(end, body, sealed)
      ends.push(end)
    }
    await this.#writer.write(runs, before.offset)
    if (this.io === 'direct') this.#syncedEnd = end.offset
    return ends
  }

  #frame(body: CommitBody, { offset, commitCrc }: SegmentEnd): SealedCommit {
    return this.format.sealCommit(body.memory, body.start, body.end, {
      binding: this.#binding,
      offset,
      firstIndex: body.firstIndex,
      count: body.count,
      provenEnd: this.#syncedEnd,
      previousCrc: commitCrc,
      positions: body.offsets,
    })
  }

  /** Makes `end`, which `write` returned, the end of the log for everybody. */
  advance(end: SegmentEnd): void {
    this.active.end = end
  }

  /** Syncs what the active segment holds; resolves with the end that is durable from then on, also when more was written meanwhile. */
  async sync(writtenEnd: number = this.active.end.offset): Promise<void> {
    if (this.#syncedEnd >= writtenEnd) return
    const writer = this.#writer
    await writer.sync()
    if (writer === this.#writer && writtenEnd > this.#syncedEnd) this.#syncedEnd = writtenEnd
  }

  /** Notes for readers in other processes how far the log is durable. */
  publishMark(index: number, now: boolean): Promise<void> {
    const { logId, active, epoch } = this
    return this.#parts.mark.update({ logId, epoch, segmentId: active.id, offset: this.#syncedEnd, index }, now)
  }

  /** Cuts off what an unfinished write may have left behind the last commit. */
  async cutUnfinished(): Promise<void> {
    await this.#writer.truncate(this.active.end.offset)
  }

  /** Seals the active segment and opens the next. Throws PublishDeclined with nothing changed. */
  async rotate(): Promise<{ sealed: Segment; opened: Segment }> {
    if (this.isBackup) {
      await this.leaveBackup()
      return { sealed: this.#segments.at(-2)!, opened: this.active }
    }
    const sealed = this.active
    await this.#seal()
    const now = this.#parts.clock.now()
    const header = this.#headerFor({ firstIndex: sealed.lastIndex + 1, epoch: this.epoch, now, after: sealed })
    const { segment, writer } = await this.#publish(header)
    sealed.sealed = true
    sealed.sealedAt = now
    await this.#activate([...this.#segments, segment], writer, {})
    return { sealed, opened: segment }
  }

  /** Raises the first index and removes the segments that lie wholly below. Returns those. */
  async truncateBefore(index: number): Promise<Segment[]> {
    await this.#saveManifest({ firstIndex: index }, true)
    const isKept = (segment: Segment): boolean => !segment.sealed || segment.lastIndex >= index
    const removed = this.#segments.filter(segment => !isKept(segment))
    this.#segments = this.#segments.filter(isKept)
    await this.#removeFiles(removed)
    return removed
  }

  /** Ends the log at `index`: publishes a successor of a new epoch. Returns the segments that went. */
  async truncateAfter(index: number): Promise<Segment[]> {
    await this.#seal()
    const holder = index < this.firstIndex ? undefined : findSegment(this.#segments, index)
    const common = {
      firstIndex: index + 1,
      epoch: nextEpoch(this.#manifest.epochs, index + 1),
      now: this.#parts.clock.now(),
    }
    if (holder === undefined) return this.#truncateBetween(index, common)
    const end = await this.#endAt(holder, index)
    const cut = new Segment(holder.header, holder.path, holder.contentStart, end, true)
    cut.sealedAt = common.now
    const below = this.#segments.slice(0, this.#segments.indexOf(holder))
    return this.#succeed({ ...common, after: cut }, [...below, cut], this.firstIndex)
  }

  /**
   * Ends the part of its history that a backup shares with the log it was made of: what is written from now on belongs to an epoch of
   * its own, by which the two are told apart.
   */
  async leaveBackup(): Promise<void> {
    await this.truncateAfter(this.active.lastIndex)
  }

  /** Ends the log at an index that no segment holds: before all of them, or among entries that a repair declared lost. */
  #truncateBetween(index: number, common: Omit<Successor, 'after'>): Promise<Segment[]> {
    const { firstIndex } = this
    const gap = index < firstIndex ? undefined : findGap(this.#segments, index)
    const kept = this.#segments.filter(segment => gap !== undefined && segment.lastIndex < index)
    const after = kept.at(-1) ?? 'nothing'
    const left = gap && { firstIndex: gap.firstIndex, lastIndex: index }
    return this.#succeed({ ...common, after, gap: left }, kept, firstIndex)
  }

  /** Empties the log; its next index is `nextIndex`. Returns the segments that went. */
  reset(nextIndex: number): Promise<Segment[]> {
    const epoch = nextEpoch(this.#manifest.epochs, nextIndex)
    return this.#succeed(
      { firstIndex: nextIndex, epoch, now: this.#parts.clock.now(), after: 'nothing' },
      [],
      nextIndex,
    )
  }

  /** Notes, where `clean`, that the log ended in order (everything written must have been synced), and lets go of its files. */
  async close(clean: boolean): Promise<void> {
    const { manifestFile, mark } = this.#parts
    try {
      if (clean) await this.#writer.cutZeros(this.active.end.offset)
      if (clean) await this.#saveManifest({ closed: true, floor: this.#floor() }, true)
    } finally {
      await mark.close()
      await manifestFile.close()
      await this.#writer.close()
    }
  }

  /** Brings the active segment to rest: what it holds is durable, and nothing stands behind it. */
  async #seal(): Promise<void> {
    await this.#writer.cutZeros(this.active.end.offset)
    await this.sync()
  }

  /** Publishes a segment that starts a new epoch behind `kept`, and removes every other one. */
  async #succeed(successor: Successor, kept: readonly Segment[], firstIndex: number): Promise<Segment[]> {
    const opened = await this.#publish(this.#headerFor(successor))
    const keptIds = new Set(kept.map(({ id }) => id))
    const removed = this.#segments.filter(({ id }) => !keptIds.has(id))
    await this.#activate([...kept, opened.segment], opened.writer, {
      firstIndex,
      epochs: [...this.#manifest.epochs, successor.epoch],
      backup: false,
    })
    await this.#removeFiles(removed)
    return removed
  }

  async #publish(header: SegmentHeader): Promise<{ segment: Segment; writer: SegmentWriter }> {
    const { fs, directory, format, zeroAhead } = this.#parts
    const { path, contentStart } = await publishSegment({ fs, directory, format, header })
    const writer = await SegmentWriter.open(fs, path, this.io, { end: contentStart, zeroAhead })
    return { writer, segment: new Segment(header, path, contentStart, emptyEnd(header, contentStart), false) }
  }

  /** Makes the last of `segments` the active one, and says so in the manifest before anything is written to it. */
  async #activate(segments: readonly Segment[], writer: SegmentWriter, patch: Partial<Manifest>): Promise<void> {
    const previous = this.#writer
    this.#segments = segments
    this.#writer = writer
    this.#syncedEnd = this.active.end.offset
    this.#binding = this.format.bind(this.active.header)
    if (patch.epochs !== undefined) this.#epochs = [...this.#epochs, ...patch.epochs.slice(-1)]
    await previous.close()
    await this.#saveManifest({ newestId: this.active.id, floor: this.#floor(), ...patch }, patch.epochs !== undefined)
  }

  #headerFor({ firstIndex, epoch, now, after, gap }: Successor): SegmentHeader {
    const { header } = this.active
    return {
      ...header,
      ...this.#parts.limits,
      id: this.active.id + 1,
      firstIndex,
      epoch,
      salt: randomBytes(16).toString('hex'),
      createdAt: now,
      publishedEnd: 0,
      publishedLastIndex: 0,
      gap,
      begins: after === 'nothing',
      predecessor: after === 'nothing' ? undefined : predecessorOf(after, now),
    }
  }

  /** The end of the log if it ended at `index`: behind the commit that holds it. */
  async #endAt(segment: Segment, index: number): Promise<SegmentEnd> {
    if (index === segment.lastIndex) return segment.end
    const file = await this.#parts.fs.open(segment.path, 'read')
    try {
      const end = await drive(file, walkToIndex(this.format, segment, index))
      return { ...segment.end, ...end, lastIndex: index }
    } finally {
      await file.close()
    }
  }

  #floor(): Floor {
    const { id, end } = this.active
    return floorAt(id, end)
  }

  async #saveManifest(patch: Partial<Manifest>, both = false): Promise<void> {
    this.#manifest = { ...this.#manifest, closed: false, ...patch }
    await this.#parts.manifestFile.write(encodeManifest(this.#manifest), { sync: true, both })
  }

  /** Oldest first, so that what a crash leaves is still a chain. */
  async #removeFiles(segments: readonly Segment[]): Promise<void> {
    const { fs, directory } = this.#parts
    for (const segment of segments) {
      await fs.unlink(segment.path)
      if ((await fs.stat(indexName(segment.path))) !== undefined) await fs.unlink(indexName(segment.path))
    }
    if (segments.length > 0) await fs.syncDirectory(directory)
  }
}

/** The end of the content once the commit stands behind `before`. */
function endBehind(before: SegmentEnd, body: CommitBody, sealed: SealedCommit): SegmentEnd {
  return {
    offset: before.offset + sealed.end - body.start,
    lastIndex: body.firstIndex + body.count - 1,
    commitCrc: sealed.crc,
    commitOffset: before.offset,
    minTimestamp: Math.min(before.minTimestamp, body.minTimestamp),
    maxTimestamp: Math.max(before.maxTimestamp, body.maxTimestamp),
    lastTerm: body.lastTerm,
  }
}

/** The manifest lists the latest epochs; those before, as far as they still matter, are named by the segments they wrote. */
function knownEpochs(segments: readonly Segment[], { epochs }: Manifest): Epoch[] {
  const known = new Map(segments.map(({ header: { epoch } }) => [epoch.counter, epoch]))
  for (const epoch of epochs) known.set(epoch.counter, epoch)
  return [...known.values()].sort((a, b) => a.counter - b.counter)
}

/** What the next segment begins with and follows. */
interface Successor {
  firstIndex: number
  epoch: Epoch
  now: number
  after: Segment | 'nothing'
  /** Entries before it that a repair declared lost. */
  gap?: SegmentHeader['gap']
}

/** What a successor says about the segment it ends. */
export function predecessorOf({ id, end }: Pick<Segment, 'id' | 'end'>, sealedAt: number): Predecessor {
  const { offset, lastIndex, commitCrc, minTimestamp, maxTimestamp, lastTerm } = end
  return { id, endOffset: offset, lastIndex, commitCrc, minTimestamp, maxTimestamp, lastTerm, sealedAt }
}

/** The end of a segment as the manifest notes it. */
export function floorAt(segmentId: number, end: SegmentEnd): Floor {
  const { offset, lastIndex, commitOffset, minTimestamp, maxTimestamp, lastTerm } = end
  return { segmentId, offset, index: lastIndex, commitOffset, minTimestamp, maxTimestamp, lastTerm }
}
