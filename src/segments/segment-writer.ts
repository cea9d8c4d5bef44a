import { kernel } from '../codec/kernel.js'
import type { Memory } from '../codec/memory.js'
import { BLOCK_BYTES, toBlockEnd } from '../file-system/block.js'
import { errnoOf } from '../file-system/errno.js'
import { readFullySync, writeAllFully } from '../file-system/transfer.js'
import type { File, FileSystem } from '../file-system/types.js'
import { withBounceBuffer } from './bounce.js'
import { ZeroAhead, type ZeroAheadPlan } from './zero-ahead.js'

/** How the active segment is written: through the page cache, or around it, where every write is durable when it returns. */
export type Io = 'direct' | 'buffered'

/** A run of bytes in memory that goes to the end of the segment. */
export interface Run {
  memory: Memory
  start: number
  end: number
}

/** As `Run`, in memory that begins at a block, and as far from the next one as in the file. */
interface Piece {
  bytes: Buffer
  start: number
  end: number
}

/**
 * Writes the active segment, always at its end. With direct I/O the block that the end lies in is written again with every commit,
 * what it held before included: safe where a sector that is rewritten by a crashing disk is old or new (docs/DURABILITY.md).
 */
export class SegmentWriter {
  readonly io: Io
  readonly #fs: FileSystem
  readonly #file: File
  /** Direct only: what the last, partly filled block of the file holds. */
  readonly #tail: Buffer
  /** Direct only. */
  readonly #zeros: ZeroAhead | undefined

  private constructor(fs: FileSystem, file: File, io: Io, tail: Buffer, zeros?: ZeroAhead) {
    this.#fs = fs
    this.#file = file
    this.io = io
    this.#tail = tail
    this.#zeros = zeros
  }

  /**
   * Opens a segment for write. 'auto' takes direct I/O where the file system has it. Throws EINVAL for 'direct' where it has not.
   * `end`: where its content ends.
   */
  static async open(
    fs: FileSystem,
    path: string,
    wanted: Io | 'auto',
    { end, zeroAhead }: { end: number; zeroAhead: ZeroAheadPlan },
  ): Promise<SegmentWriter> {
    const canAlign = wanted !== 'auto' || kernel !== undefined
    const direct = wanted === 'buffered' || !canAlign ? undefined : await openDirect(fs, path, wanted)
    if (direct === undefined) return new SegmentWriter(fs, await fs.open(path, 'write'), 'buffered', Buffer.alloc(0))
    try {
      const tail = readTail(fs, path, end)
      return new SegmentWriter(fs, direct, 'direct', tail, new ZeroAhead(direct, zeroAhead, end))
    } catch (error) {
      await direct.close()
      throw error
    }
  }

  /** Writes runs, each behind the one before, from `offset` on, which is where the content ends. */
  async write(runs: readonly Run[], offset: number): Promise<void> {
    if (this.io === 'buffered') {
      const bytes = runs.map(({ memory, start, end }) => memory.bytes.subarray(start, end))
      return writeAllFully(this.#file, bytes, offset)
    }
    const bytes = runs.reduce((sum, { start, end }) => sum + end - start, 0)
    await this.#zeros?.prepare(offset, offset + bytes)
    if (areAligned(runs, offset)) return this.#writeBlocks(runs.map(pieceOf), offset)
    let at = offset
    for (const run of runs) {
      const place = at
      if (areAligned([run], place)) await this.#writeBlocks([pieceOf(run)], place)
      else await withBounceBuffer(bounce => this.#writeThrough(bounce, run, place))
      at += run.end - run.start
    }
  }

  /** Gives back what zeros behind the content take. Harmless if it fails: they are not part of the log. */
  async cutZeros(contentEnd: number): Promise<void> {
    if (!this.#zeros?.reachesBeyond(contentEnd)) return
    await this.truncate(contentEnd).catch(() => undefined)
    await this.sync()
  }

  sync(): Promise<void> {
    return this.#file.sync()
  }

  async truncate(length: number): Promise<void> {
    await this.#file.truncate(length)
    this.#zeros?.wasCut(length)
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  /** Writes the blocks that the pieces touch: in front what the first one held already, behind zeros. */
  async #writeBlocks(pieces: readonly Piece[], offset: number): Promise<void> {
    const blocks: Uint8Array[] = []
    let before: Piece = { bytes: this.#tail, start: 0, end: offset % BLOCK_BYTES }
    for (const piece of pieces) {
      const { bytes, start, end } = piece
      const lead = start % BLOCK_BYTES
      before.bytes.copy(bytes, start - lead, before.end - lead, before.end)
      const isLast = piece === pieces.at(-1)
      // A block that is not full goes with the piece behind.
      const blocksEnd = isLast ? toBlockEnd(end) : end - (end % BLOCK_BYTES)
      if (isLast) bytes.fill(0, end, blocksEnd)
      if (blocksEnd > start - lead) blocks.push(bytes.subarray(start - lead, blocksEnd))
      before = piece
    }
    await this.#writeDirectly(blocks, offset - (offset % BLOCK_BYTES))
    before.bytes.copy(this.#tail, 0, before.end - (before.end % BLOCK_BYTES), before.end)
  }

  /**
   * A limit on the file's size that ends inside of a block answers a direct write with EINVAL, which says nothing. The page cache
   * takes any length, so writing through it stores the bytes after all or gives the error that tells what is wrong.
   */
  async #writeDirectly(blocks: readonly Uint8Array[], offset: number): Promise<void> {
    try {
      await writeAllFully(this.#file, blocks, offset)
    } catch (error) {
      if (!isRefusal(error)) throw error
      const buffered = await this.#fs.open(this.#file.path, 'write')
      try {
        await writeAllFully(buffered, blocks, offset)
        await buffered.sync()
      } finally {
        await buffered.close()
      }
    }
  }

  /** By way of memory that is aligned as the disk wants it, in as many writes as that takes. */
  async #writeThrough(bounce: Buffer, { memory, start, end }: Run, offset: number): Promise<void> {
    let from = start
    while (from < end) {
      const at = offset + from - start
      const lead = at % BLOCK_BYTES
      const length = Math.min(end - from, bounce.length - BLOCK_BYTES - lead)
      memory.bytes.copy(bounce, lead, from, from + length)
      await this.#writeBlocks([{ bytes: bounce, start: lead, end: lead + length }], at)
      from += length
    }
  }
}

/** Whether the runs can be written from where they lie. */
function areAligned(runs: readonly Run[], offset: number): boolean {
  let at = offset
  return runs.every(({ memory, start, end }) => {
    const isAligned = memory.address >= 0 && (start - at) % BLOCK_BYTES === 0
    at += end - start
    return isAligned
  })
}

function pieceOf({ memory, start, end }: Run): Piece {
  return { bytes: memory.bytes, start, end }
}

async function openDirect(fs: FileSystem, path: string, wanted: 'direct' | 'auto'): Promise<File | undefined> {
  try {
    return await fs.open(path, 'write', { direct: true })
  } catch (error) {
    if (wanted === 'auto' && isRefusal(error)) return undefined
    throw error
  }
}

const EINVAL = -22
/** ENOTSUP on Linux, on macOS. */
const ENOTSUP: ReadonlySet<number> = new Set([-95, -45])

/** The file system has no direct I/O. */
export function isRefusal(error: unknown): boolean {
  const errno = errnoOf(error)
  return errno === EINVAL || ENOTSUP.has(errno)
}

function readTail(fs: FileSystem, path: string, end: number): Buffer {
  const tail = Buffer.alloc(BLOCK_BYTES)
  const length = end % BLOCK_BYTES
  if (length === 0) return tail
  const file = fs.openSync(path)
  try {
    if (readFullySync(file, tail, length, end - length) < length) throw new Error(`${path} ends before ${end}`)
    return tail
  } finally {
    file.closeSync()
  }
}
