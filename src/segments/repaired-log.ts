import { randomBytes } from 'node:crypto'
import type { Epoch, Format, FormatName, SegmentHeader } from '../codec/format.js'
import { encodeManifest, MANIFEST_MAGIC } from '../codec/manifest.js'
import { writeFully } from '../file-system/transfer.js'
import { TwoSlotFile } from '../file-system/two-slot-file.js'
import type { File, FileSystem } from '../file-system/types.js'
import { MANIFEST_NAME, segmentName } from './name.js'
import { emptyEnd, type SegmentEnd } from './segment.js'
import { floorAt, predecessorOf } from './segment-store.js'
import { type CommitContent, writeCommit } from './write-commit.js'

/** What the new log takes over from the old one, or is given. */
export interface RepairedLogParts {
  fs: FileSystem
  /** Must exist and be empty. */
  directory: string
  logId: string
  epoch: Epoch
  formatName: FormatName
  encoding: string
  limits: { maxEntryBytes: number; maxBatchBytes: number }
  format: Format
  now: number
}

/** A segment of the new log, being written or done. */
interface Written {
  header: SegmentHeader
  end: SegmentEnd
}

/**
 * Writes a log from entries given in the order of their indexes. Where indexes are left out the next segment declares the gap. Nothing
 * counts before `finish`: the caller makes the directory known only then.
 */
export class RepairedLog {
  readonly #parts: RepairedLogParts
  #current: Written | undefined
  #file: File | undefined
  #id = 0

  constructor(parts: RepairedLogParts) {
    this.#parts = parts
  }

  /** Writes entries as one commit. */
  async append(content: CommitContent): Promise<void> {
    const { format } = this.#parts
    const firstIndex = content.entries[0]!.index
    if (this.#current !== undefined && this.#current.end.lastIndex + 1 !== firstIndex) await this.seal()
    this.#file ??= await this.#begin(firstIndex)
    const current = this.#current!
    const place = { file: this.#file, binding: format.bind(current.header), end: current.end }
    current.end = await writeCommit(format, content, place)
  }

  /** Ends the segment being written, if there is one; the next entry begins another. */
  async seal(): Promise<void> {
    const file = this.#file
    if (file === undefined) return
    const { header, end } = this.#current!
    const published = { ...header, publishedEnd: end.offset, publishedLastIndex: end.lastIndex }
    this.#current = { header: published, end }
    await writeFully(file, this.#parts.format.encodeHeader(published), 0)
    await file.sync()
    await this.close()
  }

  /** Makes everything durable, as a log that was closed in order. `nextIndex` is for one that holds no entry. */
  async finish(firstIndex: number, nextIndex: number): Promise<void> {
    const { fs, directory, logId, epoch, formatName: format, encoding } = this.#parts
    if (this.#current === undefined) this.#file = await this.#begin(nextIndex)
    await this.seal()
    const floor = floorAt(this.#id, this.#current!.end)
    const common = { logId, format, encoding, epochs: [epoch], newestId: this.#id, floor }
    const manifest = encodeManifest({ ...common, firstIndex, closed: true, backup: false })
    const path = `${directory}/${MANIFEST_NAME}`
    const file = await TwoSlotFile.create(fs, path, MANIFEST_MAGIC, manifest, { sync: true })
    await file.close()
    await fs.syncDirectory(directory)
  }

  /** Lets go of the file being written. */
  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  async #begin(firstIndex: number): Promise<File> {
    const { fs, directory, format } = this.#parts
    const header = this.#headerFor(firstIndex, this.#current)
    const file = await fs.open(`${directory}/${segmentName(header.id, firstIndex)}`, 'create')
    this.#current = { header, end: emptyEnd(header, format.encodeHeader(header).length) }
    return file
  }

  #headerFor(firstIndex: number, before: Written | undefined): SegmentHeader {
    const { logId, epoch, formatName: format, encoding, limits, now } = this.#parts
    const gapFirst = before === undefined ? firstIndex : before.end.lastIndex + 1
    return {
      ...{ logId, id: ++this.#id, firstIndex, epoch, format, encoding, ...limits, createdAt: now },
      salt: randomBytes(16).toString('hex'),
      publishedEnd: 0,
      publishedLastIndex: 0,
      begins: before === undefined,
      gap: gapFirst === firstIndex ? undefined : { firstIndex: gapFirst, lastIndex: firstIndex - 1 },
      predecessor: before && predecessorOf({ id: before.header.id, end: before.end }, now),
    }
  }
}
