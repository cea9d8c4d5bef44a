import { expect, onTestFinished, test } from 'vitest'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import type { SimulatedOperation } from '../../src/file-system/simulation/operation.js'
import { defaultTuning } from '../../src/log/tuning.js'
import { openWith } from '../../src/open.js'
import type { Wal, WalOptions } from '../../src/types.js'
import { entriesOf } from '../contract/world.js'
import { ManualClock } from '../helpers/manual-clock.js'

const COMMIT_BYTES = 2000
const ENTRIES = 110

async function opened(
  options: WalOptions,
): Promise<{ wal: Wal<Buffer, Uint8Array | string>; fs: SimulatedFileSystem }> {
  const fs = new SimulatedFileSystem()
  const tuning = { ...defaultTuning, commitMaxBytes: COMMIT_BYTES }
  const wal = await openWith('/log', { ...options, fileSystem: fs }, new ManualClock(), tuning)
  onTestFinished(() => wal.close().catch(() => undefined))
  return { wal: wal as unknown as Wal<Buffer, Uint8Array | string>, fs }
}

function watch(fs: SimulatedFileSystem): SimulatedOperation[] {
  const operations: SimulatedOperation[] = []
  fs.onOperation = operation => {
    if (operation.path.endsWith('.wal')) operations.push(operation)
  }
  return operations
}

const data = (i: number) => Buffer.alloc(100 + (i % 7), i)

test.each(['direct', 'buffered'] as const)(
  'commits that are complete at the same time share a write and a sync: %s',
  async io => {
    const { wal, fs } = await opened({ io })
    const operations = watch(fs)
    await Promise.all(Array.from({ length: ENTRIES }, (_, i) => wal.append(data(i))))
    expect(wal.stats().commits).toBeGreaterThan(7)
    // Half of what is complete at a time.
    expect(operations.filter(({ kind }) => kind === 'write').length).toBeLessThanOrEqual(4)
    expect(operations.filter(({ kind }) => kind === 'sync').length).toBeLessThanOrEqual(io === 'direct' ? 0 : 4)
    const entries = await entriesOf(wal.replay())
    expect(entries.map(entry => entry.data)).toEqual(Array.from({ length: ENTRIES }, (_, i) => data(i)))
  },
)

test.each(['direct', 'buffered'] as const)(
  'a power cut leaves the first of them whole, and no other order: %s',
  async io => {
    for (let seed = 1; seed <= 60; seed++) {
      const { wal, fs } = await opened({ io })
      await wal.append('first')
      fs.crashAt(fs.operations + 1)
      const lost = Promise.allSettled(Array.from({ length: ENTRIES }, (_, i) => wal.append(data(i))))
      await new Promise(resolve => setTimeout(resolve, 2))
      const after = await openWith('/log', { fileSystem: fs.crash({ seed }) }, new ManualClock())
      const entries = await entriesOf((after as unknown as Wal<Buffer>).replay())
      expect(entries[0]!.data.toString()).toBe('first')
      expect(entries.slice(1).map(entry => entry.data)).toEqual(entries.slice(1).map((_, i) => data(i)))
      await after.close()
      await lost
    }
  },
)

test('a short write is gone on with where it stopped', async () => {
  const { wal, fs } = await opened({ io: 'buffered' })
  await wal.append('first')
  const isWrite = ({ kind, path }: SimulatedOperation) => kind === 'write' && path.endsWith('.wal')
  fs.failNth(1, { filter: isWrite, shortWrite: 3 * COMMIT_BYTES + 123 })
  await Promise.all(Array.from({ length: ENTRIES }, (_, i) => wal.append(data(i))))
  await wal.close()
  const again = await openWith('/log', { fileSystem: fs }, new ManualClock())
  expect(await entriesOf((again as unknown as Wal<Buffer>).replay())).toHaveLength(ENTRIES + 1)
  await again.close()
})
