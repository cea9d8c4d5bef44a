import { describe, expect, onTestFinished, test } from 'vitest'
import { SimulatedFileSystem, type SimulatedFileSystemOptions } from '../../src/file-system/simulated.js'
import type { SimulatedOperation } from '../../src/file-system/simulation/operation.js'
import { defaultTuning, type Tuning } from '../../src/log/tuning.js'
import { openWith } from '../../src/open.js'
import type { Wal, WalOptions } from '../../src/types.js'
import { entriesOf } from '../contract/world.js'
import { ManualClock } from '../helpers/manual-clock.js'

const BLOCK = 4096
/** A segment's header fills the first block. */
const CONTENT = BLOCK
const SMALL: Tuning = { ...defaultTuning, zeroAhead: { afterBytes: 2 * BLOCK, maxBytes: 8 * BLOCK } }

type Bytes = Wal<Buffer, Uint8Array | string>

async function opened(
  options: WalOptions & { tuning?: Tuning; disk?: SimulatedFileSystemOptions } = {},
): Promise<{ wal: Bytes; fs: SimulatedFileSystem }> {
  const { tuning = SMALL, disk, ...given } = options
  const fs = (given.fileSystem as SimulatedFileSystem | undefined) ?? new SimulatedFileSystem(disk)
  const wal = (await openWith('/log', { ...given, fileSystem: fs }, new ManualClock(), tuning)) as unknown as Bytes
  onTestFinished(() => wal.close().catch(() => undefined))
  return { wal, fs }
}

/** What a segment's file holds: its bytes in all, and how many zeros are its last. */
function shapeOf(fs: SimulatedFileSystem, segment: { path: string }): { size: number; zeros: number } {
  const bytes = fs.contents(segment.path)
  let zeros = 0
  while (zeros < bytes.length && bytes[bytes.length - 1 - zeros] === 0) zeros++
  return { size: bytes.length, zeros }
}

const active = (wal: Bytes) => wal.segments().at(-1)!

/** Appends lone entries, each a commit of its own, until the segment holds `bytes`. */
async function grow(wal: Bytes, bytes: number): Promise<void> {
  while (active(wal).bytes < bytes) await wal.append(Buffer.alloc(900, 1))
}

/** The writes to segments from now on. */
function watchWrites(fs: SimulatedFileSystem): SimulatedOperation[] {
  const writes: SimulatedOperation[] = []
  fs.onOperation = operation => {
    if (operation.kind === 'write' && operation.path.endsWith('.wal')) writes.push(operation)
  }
  return writes
}

describe('zeros ahead of the content', () => {
  test('are not written for a log of few entries', async () => {
    const { wal, fs } = await opened()
    await grow(wal, BLOCK)
    expect(shapeOf(fs, active(wal)).size).toBeLessThanOrEqual(CONTENT + 2 * BLOCK)
  })

  test('are as many as small commits have brought, up to a step, and save the writes that would extend the file', async () => {
    const { wal, fs } = await opened()
    await grow(wal, 40 * BLOCK)
    const before = shapeOf(fs, active(wal)).size
    const writes = watchWrites(fs)
    await grow(wal, 80 * BLOCK)
    const extending = writes.filter((write, i) => {
      const reached = Math.max(before, ...writes.slice(0, i).map(({ position, length }) => position! + length!))
      return write.position! + write.length! > reached
    })
    expect(extending.length).toBeLessThanOrEqual(6) // 40 blocks in steps of 8
    expect(extending.every(({ length }) => length === SMALL.zeroAhead.maxBytes)).toBe(true)
  })

  test('never reach beyond the size of a segment', async () => {
    const segmentMaxBytes = 20 * BLOCK
    const { wal, fs } = await opened({ segmentMaxBytes })
    let largest = 0
    for (let i = 0; i < 400; i++) {
      await wal.append(Buffer.alloc(900, 1))
      largest = Math.max(largest, shapeOf(fs, active(wal)).size)
    }
    expect(wal.segments().length).toBeGreaterThan(3)
    expect(largest).toBeLessThanOrEqual(segmentMaxBytes + CONTENT + BLOCK)
  })

  test('are given back when the segment is sealed, cut off, or the log closed', async () => {
    const { wal, fs } = await opened()
    await grow(wal, 10 * BLOCK)
    expect(shapeOf(fs, active(wal)).zeros).toBeGreaterThan(BLOCK)
    const sealed = (await wal.rotate())!
    expect(shapeOf(fs, sealed).size).toBe(sealed.bytes)
    await grow(wal, 10 * BLOCK)
    await wal.truncateAfter(wal.lastIndex - 1)
    const cut = wal.segments().at(-2)!
    expect(shapeOf(fs, cut).zeros).toBeLessThan(BLOCK)
    await grow(wal, 10 * BLOCK)
    const last = active(wal)
    await wal.close()
    expect(shapeOf(fs, last).zeros).toBeLessThan(BLOCK)
  })

  test('are no damage after a power cut, and nothing behind them is taken for an entry', async () => {
    const { wal, fs } = await opened()
    await grow(wal, 10 * BLOCK)
    const { lastIndex } = wal
    const after = await opened({ fileSystem: fs.crash({ seed: 0 }), recovery: 'strict' })
    expect(after.wal.lastIndex).toBe(lastIndex)
    expect(after.wal.recoveryReport.cutBytes).toBe(0)
    expect(await entriesOf(after.wal.replay())).toHaveLength(lastIndex)
  })

  test('that find no space pause nothing, and leave the space to the commits', async () => {
    const { wal, fs } = await opened()
    await grow(wal, 3 * BLOCK)
    const { zeros } = shapeOf(fs, active(wal))
    const isZeros = ({ length }: SimulatedOperation) => length !== undefined && length > 2 * BLOCK
    fs.failNth(1, {
      filter: operation => operation.kind === 'write' && isZeros(operation),
      error: 'ENOSPC',
      sticky: true,
    })
    await grow(wal, 30 * BLOCK)
    expect(wal.status).toBe('open')
    expect(shapeOf(fs, active(wal)).zeros).toBeLessThan(Math.max(zeros, BLOCK))
    expect(await entriesOf(wal.replay())).toHaveLength(wal.lastIndex)
  })

  test('are left out where commits are large, or written through the page cache', async () => {
    const large = await opened()
    for (let i = 0; i < 4; i++) await large.wal.append(Buffer.alloc(200_000, 1))
    expect(shapeOf(large.fs, active(large.wal)).zeros).toBeLessThan(BLOCK)
    const buffered = await opened({ io: 'buffered' })
    await grow(buffered.wal, 10 * BLOCK)
    expect(shapeOf(buffered.fs, active(buffered.wal)).zeros).toBeLessThan(8)
  })

  test('come with the sizes that a program gets, too', async () => {
    const { wal, fs } = await opened({ tuning: defaultTuning })
    while (active(wal).bytes < 200_000) await wal.append(Buffer.alloc(4000, 1))
    expect(shapeOf(fs, active(wal)).zeros).toBeGreaterThan(10_000)
  })
})
