import { describe, expect, it } from 'vitest'
import type { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import { inspectWal } from '../../src/inspect.js'
import type { Chunk, Wal, WalConsumer } from '../../src/types.js'
import { ManualClock } from '../helpers/manual-clock.js'
import { turns, until, walError } from '../helpers/waiting.js'
import { fill, indexes, open, range, readUntil, runUntil } from './scene.js'

describe('a consumer', () => {
  it('begins at the start, and goes on behind its checkpoint after a restart', async () => {
    const { wal, fs } = await open()
    await fill(wal, 5)
    expect(await runUntil(wal.consumer('view'), 5)).toEqual(range(1, 5))
    await wal.close()
    const { wal: again } = await open({}, { fs })
    const consumer = again.consumer('view')
    expect(consumer.checkpointIndex).toBe(5)
    expect(consumer.lagEntries).toBe(0)
    await fill(again, 3)
    expect(consumer.lagEntries).toBe(3)
    expect(await runUntil(consumer, 8)).toEqual([6, 7, 8])
    await again.close()
  })

  it('hands out again what was not acknowledged', async () => {
    const { wal } = await open()
    await fill(wal, 4)
    const consumer = wal.consumer('view')
    for await (const chunk of consumer.chunks({ chunkMaxEntries: 2 })) {
      if (chunk.firstIndex === 1) await consumer.checkpoint()
      else break
    }
    expect(consumer.checkpointIndex).toBe(2)
    expect(await readUntil(consumer, 4)).toEqual([3, 4])
    await wal.close()
  })

  it('goes on with what is appended later, and tells when it has caught up', async () => {
    const { wal } = await open()
    await fill(wal, 2)
    const consumer = wal.consumer('view')
    const caughtUp: number[] = []
    consumer.on('caughtUp', index => caughtUp.push(index))
    const seen: number[] = []
    const running = consumer.run(entries => void seen.push(...indexes(entries)))
    await consumer.whenCaughtUp()
    await wal.append('e3')
    await consumer.whenProcessed(3)
    expect(seen).toEqual([1, 2, 3])
    await until(() => caughtUp.length > 0)
    expect(caughtUp[0]).toBe(2)
    await wal.close()
    await running
  })

  it.each([
    ['end', 4],
    [3, 3],
    [{ timestamp: 200 }, 2],
    [{ timestamp: new Date(250) }, 3],
    [{ timestamp: 999 }, 4],
  ] as const)('begins where `from` says: %j', async (from, first) => {
    const { wal } = await open()
    for (const timestamp of [100, 200, 300]) await wal.append('x', { timestamp })
    const consumer = wal.consumer('view', { from })
    await wal.append('x', { timestamp: 400 })
    expect(await runUntil(consumer, 4)).toEqual(range(first, 4))
    await wal.close()
  })

  it('keeps the place that `from` meant, also when nothing was handed out before a restart', async () => {
    const { wal, fs } = await open()
    await fill(wal, 3)
    const chunks = wal.consumer('view', { from: 'end' }).chunks()
    const next = chunks.next()
    await turns(20)
    await wal.close()
    expect((await next).done).toBe(true)
    const { wal: again } = await open({}, { fs })
    await fill(again, 2)
    expect(await runUntil(again.consumer('view', { from: 'end' }), 5)).toEqual([4, 5])
    await again.close()
  })

  it('lets one reader at a time read under its name', async () => {
    const { wal } = await open()
    await fill(wal, 2)
    const first = wal.consumer('view').chunks()
    await first.next()
    await walError(wal.consumer('view').chunks().next(), 'WAL_CONSUMER_ACTIVE')
    await walError(
      wal.consumer('view').run(() => {}),
      'WAL_CONSUMER_ACTIVE',
    )
    await walError(wal.deleteConsumer('view'), 'WAL_CONSUMER_ACTIVE')
    expect((await wal.consumer('other').chunks().next()).done).toBe(false)
    await first.return?.()
    expect((await wal.consumer('view').chunks().next()).done).toBe(false)
    await wal.close()
  })

  it('shares its position among those of one name', async () => {
    const { wal } = await open()
    await fill(wal, 3)
    const other = wal.consumer('view')
    await runUntil(wal.consumer('view'), 3)
    expect(other.checkpointIndex).toBe(3)
    await wal.close()
  })

  it('is listed, counted and deleted', async () => {
    const { wal, fs } = await open()
    await fill(wal, 3)
    await runUntil(wal.consumer('b'), 3)
    const chunks = wal.consumer('a', { from: 2 }).chunks()
    await chunks.next()
    expect(wal.consumers()).toMatchObject([
      { name: 'a', checkpointIndex: 1, lagEntries: 2, active: true },
      { name: 'b', checkpointIndex: 3, lagEntries: 0, heldBytes: 0, active: false },
    ])
    expect(wal.consumers()[0]?.heldBytes).toBe(wal.stats().usedBytes)
    expect(wal.stats().consumers).toBe(2)
    await wal.close()
    const { wal: again } = await open({}, { fs })
    expect(again.consumers().map(({ name }) => name)).toEqual(['a', 'b'])
    await again.deleteConsumer('b')
    await again
      .deleteConsumer('never there')
      .catch(error => expect(error).toMatchObject({ code: 'WAL_INVALID_OPTION' }))
    await again.deleteConsumer('nobody')
    expect(again.consumers().map(({ name }) => name)).toEqual(['a'])
    expect(again.consumer('b').checkpointIndex).toBe(0)
    expect(await runUntil(again.consumer('b'), 3)).toEqual([1, 2, 3])
    await again.close()
  })

  it('is seen by inspectWal', async () => {
    const { wal, fs } = await open()
    await fill(wal, 5)
    await wal.consumer('b').checkpoint(2)
    await wal.consumer('a').checkpoint(5)
    const { usedBytes } = wal.stats()
    await wal.close()
    const { consumers } = await inspectWal('/log', { fileSystem: fs })
    expect(consumers).toEqual([
      { name: 'a', checkpointIndex: 5, lagEntries: 0, heldBytes: 0, active: false },
      { name: 'b', checkpointIndex: 2, lagEntries: 3, heldBytes: usedBytes, active: false },
    ])
  })

  it('ends its reads with the log, and with itself', async () => {
    const { wal } = await open()
    await fill(wal, 1)
    const consumer = wal.consumer('view')
    const running = consumer.run(() => {})
    const waiting = consumer.whenProcessed(7)
    await consumer.whenProcessed(1)
    await Promise.all([consumer.close(), walError(waiting, 'WAL_CLOSED'), consumer.close()])
    await running
    for (const late of [consumer.chunks().next(), consumer.run(() => {}), consumer.checkpoint(1)])
      await walError(late, 'WAL_CLOSED')
    const other = wal.consumer('other')
    const alsoWaiting = other.whenProcessed(7)
    await Promise.all([wal.close(), walError(alsoWaiting, 'WAL_CLOSED')])
    await walError(other.chunks().next(), 'WAL_CLOSED')
    expect(() => wal.consumer('view')).toThrow(expect.objectContaining({ code: 'WAL_CLOSED' }))
  })

  it('refuses names and options that will not do', async () => {
    const { wal } = await open()
    for (const name of ['', '.a', 'a/b', 'a b', 'ä', 'x'.repeat(129)])
      expect(() => wal.consumer(name), name).toThrow(expect.objectContaining({ code: 'WAL_INVALID_OPTION' }))
    for (const name of ['a.tmp', '-', '_', 'x'.repeat(128)]) expect(wal.consumer(name).name).toBe(name)
    expect(() => wal.consumer(7 as never)).toThrow(TypeError)
    const invalid = expect.objectContaining({ code: 'WAL_INVALID_OPTION' })
    expect(() => wal.consumer('a', { checkpointIntervalMs: 0 })).toThrow(invalid)
    expect(() => wal.consumer('a', { interval: 1 } as never)).toThrow(invalid)
    expect(() => wal.consumer('a', { from: 1.5 })).toThrow(invalid)
    expect(() => wal.consumer('a').seek({ position: 'here' })).toThrow(invalid)
    await expect(wal.consumer('a').run('x' as never)).rejects.toThrow(TypeError)
    await walError(
      wal.consumer('a').run(() => {}, { onError: 'ignore' as never }),
      'WAL_INVALID_OPTION',
    )
    await wal.close()
  })
})

describe('a filter', () => {
  it('leaves entries out, and checkpoints move over them', async () => {
    const { wal } = await open()
    await fill(wal, 10)
    const consumer = wal.consumer('tens', { filter: ({ data }) => data.endsWith('4') })
    expect(await runUntil(consumer, 10)).toEqual([4])
    expect(consumer.checkpointIndex).toBe(10)
    const running = consumer.run(() => {})
    await fill(wal, 3)
    await consumer.whenProcessed(13)
    await wal.close()
    await running
  })

  it('does not move a checkpoint over what is being processed', async () => {
    const { wal } = await open({ segmentMaxBytes: 1 })
    await fill(wal, 1)
    const consumer = wal.consumer('ones', { filter: ({ index }) => index === 1 })
    const chunks = consumer.chunks()
    await chunks.next()
    const next = chunks.next()
    await fill(wal, 3)
    await turns(20)
    expect(consumer.checkpointIndex).toBe(0)
    await consumer.checkpoint()
    expect(consumer.checkpointIndex).toBe(4)
    await wal.close()
    await next
  })

  it('that throws ends the run', async () => {
    const { wal } = await open()
    await fill(wal, 1)
    const filter = () => {
      throw new Error('no such field')
    }
    await expect(wal.consumer('view', { filter }).run(() => {})).rejects.toThrow('no such field')
    await wal.close()
  })
})

describe('seek', () => {
  async function scene(): Promise<{ wal: Wal<string>; consumer: WalConsumer<string>; fs: SimulatedFileSystem }> {
    const { wal, fs } = await open()
    await fill(wal, 6)
    const consumer = wal.consumer('view')
    await runUntil(consumer, 6)
    return { wal, consumer, fs }
  }

  it.each([
    ['start', 1],
    [3, 3],
    [{ timestamp: 0 }, 1],
  ] as const)('goes back to %j', async (from, first) => {
    const { wal, consumer } = await scene()
    consumer.seek(from)
    expect(await runUntil(consumer, 6)).toEqual(range(first, 6))
    await wal.close()
  })

  it('is stored, also when nothing is read afterwards', async () => {
    const { wal, consumer, fs } = await scene()
    consumer.seek(3)
    expect(consumer.checkpointIndex).toBe(2)
    await wal.close()
    const { wal: again } = await open({}, { fs })
    expect(again.consumer('view').checkpointIndex).toBe(2)
    await again.close()
  })

  it('takes effect under a reader, and what was handed out before no longer counts', async () => {
    const { wal, consumer } = await scene()
    const seen: number[] = []
    const running = consumer.run(entries => {
      seen.push(...indexes(entries))
      if (seen.length === 1) consumer.seek(5)
    })
    await fill(wal, 1)
    await consumer.whenProcessed(7)
    expect(seen).toEqual([7, 5, 6, 7])
    consumer.seek('start')
    await until(() => seen.length === 11)
    expect(seen.slice(4)).toEqual(range(1, 7))
    await wal.close()
    await running
  })

  it.each([0, 9, -1])('outside of the log is told by the next read: %j', async index => {
    const { wal, consumer } = await scene()
    consumer.seek(index)
    await walError(consumer.chunks().next(), 'WAL_INDEX_OUT_OF_RANGE')
    await walError(
      consumer.run(() => {}),
      'WAL_INDEX_OUT_OF_RANGE',
    )
    consumer.seek(6)
    expect(await runUntil(consumer, 6)).toEqual([6])
    await wal.close()
  })
})

describe('the position', () => {
  it('lets a view go on exactly behind what it has', async () => {
    const { wal, fs } = await open()
    await fill(wal, 6)
    const consumer = wal.consumer('view')
    expect(consumer.position).toBeUndefined()
    const positions: (string | undefined)[] = []
    for await (const _ of consumer.chunks({ chunkMaxEntries: 2 })) {
      positions.push(consumer.position)
      if (positions.length === 3) break
    }
    await wal.close()
    const { wal: again } = await open({}, { fs })
    const resumed = again.consumer('view')
    resumed.seek({ position: positions[1]! })
    expect(resumed.checkpointIndex).toBe(4)
    expect(await runUntil(resumed, 6)).toEqual([5, 6])
    await again.close()
  })

  it('is that of the entry in hand when a chunk is offered one by one', async () => {
    const { wal } = await open()
    await fill(wal, 3)
    const consumer = wal.consumer('view')
    const positions: string[] = []
    const handler = (entries: Chunk<string>) => {
      if (entries.length > 1) throw new Error('one by one, please')
      positions.push(consumer.position!.split('-')[0]!)
      if (entries.lastIndex === 3) throw new Error('enough')
    }
    await expect(consumer.run(handler)).rejects.toThrow('enough')
    expect(positions).toEqual(['1', '2', '3'])
    expect(consumer.checkpointIndex).toBe(2)
    await wal.close()
  })
})

describe('waiting', () => {
  it('ends with a timeout, an abort, or the entry', async () => {
    const clock = new ManualClock()
    const { wal } = await open({}, { clock })
    await fill(wal, 2)
    const consumer = wal.consumer('view')
    await consumer.whenProcessed(0)
    const late = consumer.whenCaughtUp({ timeoutMs: 50 })
    const stop = new AbortController()
    const aborted = consumer.whenProcessed(2, { signal: stop.signal })
    stop.abort('enough')
    await expect(aborted).rejects.toBe('enough')
    await expect(consumer.whenProcessed(2, { signal: stop.signal })).rejects.toBe('enough')
    clock.advance(50)
    const error = await walError(late, 'WAL_TIMEOUT')
    expect(error.index).toBe(2)
    const processed = consumer.whenCaughtUp({ timeoutMs: 50 })
    const running = consumer.run(() => {})
    await processed
    await wal.close()
    await running
  })

  it('rejects with the failure of the log', async () => {
    const { wal, fs } = await open({ io: 'buffered' })
    const waiting = wal.consumer('view').whenProcessed(1)
    fs.failNth(1, { filter: ({ kind }) => kind === 'sync' })
    await wal.append('x').catch(() => undefined)
    await walError(waiting, 'WAL_FAILED')
    await wal.close()
  })
})
