import { openWal } from '../../src/index.js'
import { SimulatedFileSystem } from '../../src/testing.js'
import type { SegmentInfo, WalOptions } from '../../src/types.js'
import { directory, readAll, type SmallWal, type Written } from '../helpers/small-log.js'

type Format = NonNullable<WalOptions['format']>

const MARK_INTERVAL_MS = 10

export type Files = ReadonlyMap<string, Buffer>

/** The files of a log, and what is in it. Damage is done to copies. */
export interface Image {
  files: Files
  entries: readonly Written[]
  /** Paths of the segments, oldest first. */
  segments: readonly string[]
  infos: readonly SegmentInfo[]
}

export type Write = (wal: SmallWal) => Promise<unknown>

/** Three small segments: a single entry, and a batch with an empty entry or a transaction. */
export async function fillThreeSegments(wal: SmallWal): Promise<void> {
  for (let segment = 0; segment < 3; segment++) {
    if (segment > 0) await wal.rotate()
    await wal.append(`a${segment}`, { term: segment })
    if (segment !== 1) await wal.appendBatch([`b${segment}`, ''])
    else await commitOne(wal, `b${segment}`)
  }
}

async function commitOne(wal: SmallWal, data: string): Promise<void> {
  const transaction = wal.transaction()
  transaction.append(data)
  await transaction.commit()
}

/** Three segments with eight commits of one length each, which fill some 512-byte sectors. */
export async function fillWithEqualCommits(wal: SmallWal): Promise<void> {
  for (let segment = 0; segment < 3; segment++) {
    if (segment > 0) await wal.rotate()
    for (let i = 0; i < 8; i++) await wal.append(Buffer.alloc(432, segment * 8 + i))
  }
}

/** A log as it lies there after `write` and a close in order. */
export async function closedImage(write: Write = fillThreeSegments, format: Format = 'binary'): Promise<Image> {
  const fs = new SimulatedFileSystem()
  const { wal, image } = await written(fs, write, format)
  await wal.close()
  return image(fs)
}

/** A log as it lies there when its writer was killed after `write`, before or after it had written its mark. */
export async function killedImage(
  write: Write = fillThreeSegments,
  { withMark = false, format = 'binary' }: { withMark?: boolean; format?: Format } = {},
): Promise<Image> {
  const fs = new SimulatedFileSystem()
  const { image } = await written(fs, write, format)
  if (withMark) await new Promise(resolve => setTimeout(resolve, 3 * MARK_INTERVAL_MS))
  const killed = fs.kill()
  if (!withMark) killed.remove(`${directory}/mark`)
  return image(killed)
}

async function written(fs: SimulatedFileSystem, write: Write, format: Format) {
  const wal = await openWal(directory, { fileSystem: fs, io: 'buffered', format })
  await write(wal)
  const entries = await readAll(wal)
  const infos = wal.segments()
  return { wal, image: (left: SimulatedFileSystem) => imageOf(left, entries, infos) }
}

async function imageOf(
  fs: SimulatedFileSystem,
  entries: readonly Written[],
  infos: readonly SegmentInfo[],
): Promise<Image> {
  const files = await filesIn(fs)
  const segments = [...files.keys()].filter(path => path.endsWith('.wal')).sort()
  return { files, entries, segments, infos }
}

export async function filesIn(fs: SimulatedFileSystem): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>()
  for (const name of await fs.list(directory)) {
    const path = `${directory}/${name}`
    if ((await fs.stat(path))?.kind === 'file') files.set(path, fs.contents(path))
  }
  return files
}

/** A file system that holds these files and nothing else. */
export async function restore(files: Files): Promise<SimulatedFileSystem> {
  const fs = new SimulatedFileSystem()
  await fs.createDirectory(directory)
  await fs.syncDirectory('/')
  for (const [path, bytes] of files) fs.place(path, bytes)
  return fs
}

/** The files with one of them replaced, or without it. */
export function withFile(files: Files, path: string, bytes: Buffer | undefined): Files {
  const changed = new Map(files)
  if (bytes === undefined) changed.delete(path)
  else changed.set(path, bytes)
  return changed
}

/** The files with one bit of one of them flipped. */
export function withBitFlipped(files: Files, path: string, bit: number): Files {
  const copy = Buffer.from(files.get(path)!)
  copy[bit >> 3]! ^= 1 << (bit & 7)
  return withFile(files, path, copy)
}
