import { openWal } from '../../src/index.js'
import { SimulatedFileSystem, type SimulatedFileSystemOptions } from '../../src/testing.js'
import type { ReadOptions, Wal } from '../../src/types.js'

export const directory = '/log'

export type SmallWal = Wal<Buffer, Uint8Array | string>

/** Every entry that was written, as it has to read back. */
export interface Written {
  index: number
  data: string
  checksum: number
}

export function openSmall(fs: SimulatedFileSystem): Promise<SmallWal> {
  return openWal(directory, { fileSystem: fs })
}

/** A log of three segments with four entries each, closed in order. */
export async function threeSegments(
  options?: SimulatedFileSystemOptions,
): Promise<{ fs: SimulatedFileSystem; entries: Written[] }> {
  const fs = new SimulatedFileSystem(options)
  const entries = await closedLog(fs, async wal => {
    for (let segment = 0; segment < 3; segment++) {
      if (segment > 0) await wal.rotate()
      await wal.append(`one-${segment}`)
      await wal.append(`two-${segment}`)
      await wal.appendBatch([`three-${segment}`, `four-${segment}`])
    }
  })
  return { fs, entries }
}

/** Opens a log, lets `write` fill it, closes it; gives what it holds then. */
async function closedLog(fs: SimulatedFileSystem, write: (wal: SmallWal) => Promise<unknown>): Promise<Written[]> {
  const wal = await openSmall(fs)
  await write(wal)
  const entries = await readAll(wal)
  await wal.close()
  return entries
}

export async function readAll(wal: SmallWal, options: ReadOptions<Buffer> = {}): Promise<Written[]> {
  const entries: Written[] = []
  for await (const { index, data, checksum } of wal.replay(options))
    entries.push({ index, data: String(data), checksum })
  return entries
}

/** Paths of the segment files, oldest first. */
export async function segmentsIn(fs: SimulatedFileSystem): Promise<string[]> {
  const names = await fs.list(directory)
  return names
    .filter(name => name.endsWith('.wal'))
    .sort()
    .map(name => `${directory}/${name}`)
}

/** Flips one bit of a file, on the disk as in the cache. */
export function flipBit(fs: SimulatedFileSystem, path: string, offset: number, bit = 0): void {
  const bytes = fs.contents(path)
  bytes[offset]! ^= 1 << bit
  fs.place(path, bytes)
}

/** A file's bytes without the zeros that were written ahead of its content. */
export function contentOf(fs: SimulatedFileSystem, path: string): Buffer {
  const bytes = fs.contents(path)
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return bytes.subarray(0, end)
}
