import { kernel } from '../codec/kernel.js'
import type { Memory } from '../codec/memory.js'
import { errnoOf } from '../file-system/errno.js'
import { readFully, writeFully } from '../file-system/transfer.js'
import type { File, FileSystem } from '../file-system/types.js'
import { withBounceBuffer } from './bounce.js'

/** Direct writes come in whole blocks; larger than any sector, and the size of a page. */
export const BLOCK_BYTES = 4096

/** How the active segment is written: through the page cache, or around it, where every write is durable when it returns. */
export type Io = 'direct' | 'buffered'

/** A run of bytes in memory that goes to the end of the segment. */
export interface Run {
  memory: Memory
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

  private constructor(fs: FileSystem, file: File, io: Io, tail: Buffer) {
    this.#fs = fs
    this.#file = file
    this.io = io
    this.#tail = tail
  }

  /**
   * Opens a segment for write. 'auto' takes direct I/O where the file system has it. Throws EINVAL for 'direct' where it has not.
   * `end`: where its content ends.
   */
  static async open(fs: FileSystem, path: string, wanted: Io | 'auto', end: number): Promise<SegmentWriter> {
    const canAlign = wanted !== 'auto' || kernel !== undefined
    const direct = wanted === 'buffered' || !canAlign ? undefined : await openDirect(fs, path, wanted)
    if (direct === undefined) return new SegmentWriter(fs, await fs.open(path, 'write'), 'buffered', Buffer.alloc(0))
    try {
      return new SegmentWriter(fs, direct, 'direct', await readTail(fs, path, end))
    } catch (error) {
      await direct.close()
      throw error
    }
  }

  /** Writes a run at `offset`, which is where the content ends. */
  async write(run: Run, offset: number): Promise<void> {
    const { memory, start, end } = run
    if (this.io === 'buffered') return writeFully(this.#file, memory.bytes.subarray(start, end), offset)
    const isAligned = memory.address >= 0 && (start - offset) % BLOCK_BYTES === 0
    if (isAligned) await this.#writeBlocks(memory.bytes, start, end, offset)
    else await withBounceBuffer(bounce => this.#writeThrough(bounce, run, offset))
  }

  sync(): Promise<void> {
    return this.#file.sync()
  }

  truncate(length: number): Promise<void> {
    return this.#file.truncate(length)
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  /** Writes the blocks that [start, end) touches: in front what the first one held already, behind zeros. */
  async #writeBlocks(bytes: Buffer, start: number, end: number, offset: number): Promise<void> {
    const lead = offset % BLOCK_BYTES
    this.#tail.copy(bytes, start - lead, 0, lead)
    const blockEnd = Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES
    bytes.fill(0, end, blockEnd)
    await this.#writeDirectly(bytes.subarray(start - lead, blockEnd), offset - lead)
    bytes.copy(this.#tail, 0, blockEnd - BLOCK_BYTES, end)
  }

  /**
   * A limit on the file's size that ends inside of a block answers a direct write with EINVAL, which says nothing. The page cache
   * takes any length, so writing through it stores the bytes after all or gives the error that tells what is wrong.
   */
  async #writeDirectly(blocks: Buffer, offset: number): Promise<void> {
    try {
      await writeFully(this.#file, blocks, offset)
    } catch (error) {
      if (!isRefusal(error)) throw error
      const buffered = await this.#fs.open(this.#file.path, 'write')
      try {
        await writeFully(buffered, blocks, offset)
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
      await this.#writeBlocks(bounce, lead, lead + length, at)
      from += length
    }
  }
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

async function readTail(fs: FileSystem, path: string, end: number): Promise<Buffer> {
  const tail = Buffer.alloc(BLOCK_BYTES)
  const length = end % BLOCK_BYTES
  const file = await fs.open(path, 'read')
  try {
    if ((await readFully(file, tail, length, end - length)) < length) throw new Error(`${path} ends before ${end}`)
    return tail
  } finally {
    await file.close()
  }
}
