import { describe, expect, it } from 'vitest'
import { sealBlock } from '../../src/codec/block.js'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import { turns, walError } from '../helpers/waiting.js'
import { fill, indexes, open, range, readUntil, runUntil } from './scene.js'

describe('what a consumer has read and the log has no longer', () => {
  it('is told by truncateAfter, until it seeks', async () => {
    const { wal } = await open()
    await fill(wal, 10)
    const consumer = wal.consumer('view')
    await runUntil(consumer, 8)
    await consumer.checkpoint(10)
    await wal.truncateAfter(5)
    await fill(wal, 10)
    for (const read of [() => consumer.chunks().next(), () => consumer.run(() => {})]) {
      const error = await walError(read(), 'WAL_TRUNCATED')
      expect(error).toMatchObject({ lost: 'after', firstIndex: 6, lastIndex: 10 })
    }
    await walError(consumer.whenProcessed(3), 'WAL_TRUNCATED')
    consumer.seek(6)
    expect(await runUntil(consumer, 15)).toEqual(range(6, 15))
    await wal.close()
  })

  it('is told to a run that goes on, and again after a restart', async () => {
    const { wal, fs } = await open()
    await fill(wal, 10)
    const consumer = wal.consumer('view')
    const running = consumer.run(() => {})
    await consumer.whenProcessed(10)
    const failing = walError(running, 'WAL_TRUNCATED')
    await wal.truncateAfter(5)
    expect((await failing).lost).toBe('after')
    await fill(wal, 10)
    await wal.close()
    const { wal: again } = await open({}, { fs })
    expect((await walError(again.consumer('view').chunks().next(), 'WAL_TRUNCATED')).lost).toBe('after')
    await again.close()
  })

  it('is told when it was in hand while it was taken back', async () => {
    const { wal, fs } = await open()
    await fill(wal, 10)
    const consumer = wal.consumer('view')
    const chunks = consumer.chunks()
    await chunks.next()
    await wal.truncateAfter(5)
    await fill(wal, 10)
    await consumer.checkpoint()
    await walError(chunks.next(), 'WAL_TRUNCATED')
    await wal.close()
    const { wal: again } = await open({}, { fs })
    expect((await walError(again.consumer('view').chunks().next(), 'WAL_TRUNCATED')).lost).toBe('after')
    await again.close()
  })

  it('is told when a part of what was in hand was acknowledged after it was taken back', async () => {
    const { wal } = await open()
    await fill(wal, 10)
    const consumer = wal.consumer('view')
    const chunks = consumer.chunks()
    await chunks.next()
    await wal.truncateAfter(5)
    await fill(wal, 10)
    await consumer.checkpoint(8)
    expect(await walError(consumer.chunks().next(), 'WAL_CONSUMER_ACTIVE').then(() => chunks.return?.())).toBeDefined()
    expect((await walError(consumer.chunks().next(), 'WAL_TRUNCATED')).lastIndex).toBe(8)
    await wal.close()
  })

  it('does not concern one that has not come that far', async () => {
    const { wal } = await open()
    await fill(wal, 10)
    const consumer = wal.consumer('view')
    await consumer.checkpoint(5)
    await wal.truncateAfter(5)
    await fill(wal, 2)
    await wal.truncateAfter(6)
    await fill(wal, 1)
    expect(await runUntil(consumer, 7)).toEqual([6, 7])
    await wal.close()
  })

  it('is told by a position too', async () => {
    const { wal } = await open()
    await fill(wal, 4)
    const consumer = wal.consumer('view')
    await consumer.chunks().next()
    const position = consumer.position!
    await consumer.close()
    await wal.truncateAfter(2)
    await fill(wal, 4)
    const other = wal.consumer('other')
    other.seek({ position })
    expect(await walError(other.chunks().next(), 'WAL_TRUNCATED')).toMatchObject({
      lost: 'after',
      firstIndex: 3,
      lastIndex: 4,
    })
    other.seek(3)
    expect(await runUntil(other, 6)).toEqual([3, 4, 5, 6])
    await wal.close()
  })

  it('is told after a power cut took what was not synced', async () => {
    const { wal, fs } = await open({ sync: 'never' })
    await fill(wal, 4)
    await wal.sync()
    await fill(wal, 4)
    const consumer = wal.consumer('view')
    await consumer.chunks().next()
    const position = consumer.position!
    const { wal: again } = await open({ sync: 'never' }, { fs: fs.crash({ seed: 0 }) })
    expect(again.lastIndex).toBe(4)
    await fill(again, 10)
    const resumed = again.consumer('view')
    resumed.seek({ position })
    expect(await walError(resumed.chunks().next(), 'WAL_TRUNCATED')).toMatchObject({
      lost: 'after',
      firstIndex: 5,
      lastIndex: 8,
    })
    await again.close()
  })

  it('is told when the directory went back to an older copy', async () => {
    const { wal, fs } = await open()
    await fill(wal, 4)
    const copy = fs.crashImage({ seed: 1 })
    await fill(wal, 4)
    await wal.consumer('view').checkpoint(8)
    await wal.close()
    await copy.createDirectory('/checkpoints')
    copy.place('/checkpoints/view', fs.contents('/log/consumers/view'))
    const { wal: restored } = await open({}, { fs: copy })
    const consumer = restored.consumer('view', { directory: '/checkpoints' })
    expect(consumer.checkpointIndex).toBe(8)
    expect(await walError(consumer.chunks().next(), 'WAL_TRUNCATED')).toMatchObject({ lost: 'after', lastIndex: 8 })
    await fill(restored, 8)
    expect(await walError(consumer.chunks().next(), 'WAL_TRUNCATED')).toMatchObject({ lost: 'after', lastIndex: 8 })
    await restored.close()
  })

  it('was removed at the front: the missing range', async () => {
    const { wal } = await open({ segmentMaxBytes: 1 })
    await fill(wal, 10)
    const consumer = wal.consumer('view')
    await consumer.checkpoint(3)
    await wal.truncateBefore(8)
    expect(await walError(consumer.chunks().next(), 'WAL_TRUNCATED')).toMatchObject({
      lost: 'before',
      firstIndex: 4,
      lastIndex: 7,
    })
    consumer.seek('start')
    expect(await runUntil(consumer, 10)).toEqual([8, 9, 10])
    await wal.close()
  })

  it('was never there: the start moves as long as nothing was read', async () => {
    const { wal } = await open({ segmentMaxBytes: 1 })
    await fill(wal, 10)
    const consumer = wal.consumer('view')
    await wal.truncateBefore(8)
    const chunks = consumer.chunks({ chunkMaxEntries: 1 })
    expect(indexes((await chunks.next()).value!)).toEqual([8])
    await chunks.return?.()
    await turns(10)
    await wal.truncateBefore(10)
    expect((await walError(consumer.chunks().next(), 'WAL_TRUNCATED')).lost).toBe('before')
    await wal.close()
  })

  it.each([
    [20, 'after'],
    [25, 'after'],
    [18, 'before'],
    [19, undefined],
  ] as const)('after reset(20) a checkpoint at %i is lost: %s', async (index, lost) => {
    const { wal } = await open()
    await fill(wal, 30)
    const consumer = wal.consumer('view')
    await consumer.checkpoint(index)
    await wal.reset(20)
    await fill(wal, 3)
    if (lost === undefined) expect(await readUntil(consumer, 22)).toEqual([20, 21, 22])
    else expect((await walError(consumer.chunks().next(), 'WAL_TRUNCATED')).lost).toBe(lost)
    await wal.close()
  })
})

describe('a checkpoint file', () => {
  it('that is damaged is never a silent reset', async () => {
    const fs = new SimulatedFileSystem()
    const { wal } = await open({}, { fs })
    await fill(wal, 3)
    await wal.consumer('view').checkpoint(2)
    await wal.close()
    const bytes = fs.contents('/log/consumers/view')
    fs.place(
      '/log/consumers/view',
      bytes.map(byte => byte ^ 1),
    )
    const { wal: again } = await open({}, { fs })
    const consumer = again.consumer('view')
    expect((await walError(consumer.chunks().next(), 'WAL_CORRUPT')).message).toContain('/log/consumers/view')
    expect(again.consumers()).toMatchObject([{ name: 'view', checkpointIndex: 0 }])
    consumer.seek(3)
    expect(await runUntil(consumer, 3)).toEqual([3])
    await again.close()
    const { wal: third } = await open({}, { fs })
    expect(third.consumer('view').checkpointIndex).toBe(3)
    await third.close()
  })

  it('that is damaged in one slot loses one step at most', async () => {
    const { wal, fs } = await open()
    await fill(wal, 3)
    const consumer = wal.consumer('view', { checkpointIntervalMs: 1 })
    for (const index of [1, 2, 3]) await consumer.checkpoint(index)
    await wal.close()
    const bytes = fs.contents('/log/consumers/view')
    for (const slot of [0, 4096]) {
      const damaged = Buffer.from(bytes)
      damaged[slot + 60]! ^= 1
      fs.place('/log/consumers/view', damaged)
      const { wal: again } = await open({}, { fs })
      expect(again.consumer('view').checkpointIndex).toBeGreaterThanOrEqual(2)
      await again.close()
    }
  })

  it('of another log is refused', async () => {
    const fs = new SimulatedFileSystem()
    const { wal } = await open({}, { fs })
    await fill(wal, 3)
    await wal.consumer('view', { directory: '/shared' }).checkpoint(2)
    await wal.close()
    const other = new SimulatedFileSystem()
    await other.createDirectory('/shared')
    other.place('/shared/view', fs.contents('/shared/view'))
    const { wal: stranger } = await open({}, { fs: other })
    await fill(stranger, 3)
    await walError(stranger.consumer('view', { directory: '/shared' }).chunks().next(), 'WAL_MISMATCH')
    await stranger.close()
  })

  it('of a later version is neither used nor overwritten', async () => {
    const { wal, fs } = await open()
    await fill(wal, 3)
    await wal.consumer('view').checkpoint(2)
    await wal.close()
    const bytes = forgeVersion(fs.contents('/log/consumers/view'))
    fs.place('/log/consumers/view', bytes)
    const { wal: again } = await open({}, { fs })
    const consumer = again.consumer('view')
    await walError(consumer.chunks().next(), 'WAL_UNSUPPORTED_VERSION')
    expect(() => consumer.seek('start')).toThrow(expect.objectContaining({ code: 'WAL_UNSUPPORTED_VERSION' }))
    await walError(consumer.checkpoint(3), 'WAL_UNSUPPORTED_VERSION')
    await again.close()
    expect(fs.contents('/log/consumers/view')).toEqual(bytes)
  })
})

function forgeVersion(file: Buffer): Buffer {
  const bytes = Buffer.from(file)
  for (const slot of [0, 4096]) sealBlock(bytes.subarray(slot, slot + 4096), 'WALRUSCP', { version: 2 })
  return bytes
}
