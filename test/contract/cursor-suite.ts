import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { json, text } from '../../src/codec/encoding.js'
import type { Log } from '../../src/contract.js'
import { iterate } from '../../src/streams/iterator.js'
import { iteratorRequest } from '../../src/streams/read-options.js'
import type { Cursor, ReadOptions, TailOptions } from '../../src/types.js'
import { rejection, turns, until, walError } from '../helpers/waiting.js'
import type { OpenLog } from './controlled-log.js'

type Read<T> = number | TailOptions<T> | undefined
const replay = <T>(log: Log<T, never>, options?: number | ReadOptions<T>): Cursor<T> =>
  iterate(log, iteratorRequest(options, false))
export const tail = <T>(log: Log<T, never>, options?: Read<T>): Cursor<T> =>
  iterate(log, iteratorRequest(options, true))

const done = { value: undefined, done: true }

/** What a `Cursor` promises over any log. */
export function cursorSuite(openLog: OpenLog): void {
  async function openFilled(count: number) {
    const opened = await openLog({ encoding: text() })
    if (count > 0) opened.log.acceptBatch(Array.from({ length: count }, (_, i) => ({ data: `${i + 1}` })))
    await opened.log.committed(count)
    return opened
  }

  async function indexesOf(cursor: Cursor<unknown>): Promise<number[]> {
    const indexes: number[] = []
    for await (const entry of cursor) indexes.push(entry.index)
    return indexes
  }
  const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

  describe('replay', () => {
    test('hands out every entry once, in order, and ends', async () => {
      const { log, close } = await openFilled(1000)
      expect(await indexesOf(replay(log))).toEqual(upTo(1000))
      expect(await indexesOf(replay(log, 900))).toEqual(upTo(1000, 900))
      expect(await indexesOf(replay(log, { from: 3, to: 5 }))).toEqual([3, 4, 5])
      expect(await indexesOf(replay(log, { from: 999, to: 5000 }))).toEqual([999, 1000])
      expect(await indexesOf(replay(log, { from: 'end' }))).toEqual([])
      await close()
    })

    test('of an empty log ends at once', async () => {
      const { log, close } = await openFilled(0)
      expect(await indexesOf(replay(log))).toEqual([])
      await close()
    })

    test('ends at what was committed at the call', async () => {
      const { log, close } = await openFilled(3)
      const cursor = replay(log)
      await log.committed(log.accept('later'))
      expect(await indexesOf(cursor)).toEqual([1, 2, 3])
      await close()
    })

    test('a filter leaves entries out', async () => {
      const { log, close } = await openFilled(1000)
      expect(await indexesOf(replay(log, { filter: ({ index }) => index % 300 === 0 }))).toEqual([300, 600, 900])
      expect(await indexesOf(replay(log, { filter: () => false }))).toEqual([])
      await close()
    })

    test('what is wrong with the position is told by the first next(), and then it is done', async () => {
      const { log, close, truncateBefore } = await openFilled(10)
      await truncateBefore(5)
      for (const [from, code] of [
        [0, 'WAL_INDEX_OUT_OF_RANGE'],
        [12, 'WAL_INDEX_OUT_OF_RANGE'],
        [4, 'WAL_TRUNCATED'],
      ] as const) {
        const cursor = replay(log, from)
        await walError(cursor.next(), code)
        expect(await cursor.next()).toEqual(done)
      }
      await close()
      await walError(replay(log).next(), 'WAL_CLOSED')
    })

    test('options are checked at the call', async () => {
      const { log, close } = await openFilled(1)
      expect(() => replay(log, { form: 1 } as never)).toThrow(/replay\(\) has no option 'form'/)
      expect(() => tail(log, { from: 'middle' as never })).toThrow(/'from' of tail\(\) must be 'start'.*got 'middle'/)
      expect(() => tail(log, 1.5)).toThrow(/'from'.*1\.5/)
      expect(() => tail(log, { from: { timestamp: Number.NaN } })).toThrow(/'from'/)
      expect(() => tail(log, 'start' as never)).toThrow(TypeError)
      await close()
    })

    test('an entry that cannot be decoded fails it, with its index', async () => {
      const decode = (stored: Buffer) => JSON.parse(stored.toString().replace('bad', '"'))
      const { log, close } = await openLog<unknown, unknown>({ encoding: { ...json(), decode } })
      for (const data of ['good', 'bad']) await log.committed(log.accept(data))
      expect(await walError(indexesOf(replay(log)), 'WAL_INVALID_ENTRY')).toMatchObject({ index: 2 })
      expect(await indexesOf(replay(log, { to: 1 }))).toEqual([1])
      await close()
    })
  })

  describe('tail', () => {
    test('goes on with what is committed later, and ends when the log is closed', async () => {
      const { log, close } = await openFilled(3)
      const seen: number[] = []
      const reading = (async () => {
        for await (const { index } of tail(log)) seen.push(index)
      })()
      await until(() => seen.length === 3)
      await log.committed(log.accept('4'))
      await until(() => seen.length === 4)
      await Promise.all([close(), reading])
      expect(seen).toEqual([1, 2, 3, 4])
    })

    test('return() ends a next() that waits', async () => {
      const { log, close } = await openFilled(0)
      const cursor = tail(log)
      const waiting = cursor.next()
      await turns()
      expect(await cursor.return?.()).toEqual(done)
      expect(await waiting).toEqual(done)
      expect(await cursor.next()).toEqual(done)
      await close()
    })

    test('leaving the loop, or its block, closes it', async () => {
      const { log, close } = await openFilled(5)
      const cursor = tail(log)
      for await (const { index } of cursor) if (index === 2) break
      expect(cursor.nextIndex).toBe(3)
      expect(await cursor.next()).toEqual(done)
      let other: Cursor<string>
      {
        await using used = tail(log)
        other = used
        await used.next()
      }
      expect(await other.next()).toEqual(done)
      await close()
    })

    test('calls of next() that are not awaited are answered in order', async () => {
      const { log, close } = await openFilled(0)
      const cursor = tail(log)
      const calls = Array.from({ length: 5 }, () => cursor.next())
      for (let n = 1; n <= 3; n++) await log.committed(log.accept(`${n}`))
      const first = await Promise.all(calls.slice(0, 3))
      const more = [...calls.slice(3), cursor.next()]
      log.acceptBatch([{ data: '4' }, { data: '5' }, { data: '6' }])
      const all = [...first, ...(await Promise.all(more))]
      expect(all.map(result => result.value?.data)).toEqual(['1', '2', '3', '4', '5', '6'])
      await close()
    })

    test('a failure is told once, to the first that waits', async () => {
      const { log, setDisk, close } = await openFilled(1)
      const cursor = tail(log, 2)
      const calls = [cursor.next(), cursor.next()]
      await turns()
      setDisk('broken')
      log.accept('lost')
      await walError(calls[0] as Promise<unknown>, 'WAL_FAILED')
      expect(await calls[1]).toEqual(done)
      expect(await cursor.next()).toEqual(done)
      await close()
    })

    test('one that has handed out what truncateAfter removes fails at once', async () => {
      const { log, truncateAfter, close } = await openFilled(5)
      const cursor = tail(log)
      for (let n = 0; n < 5; n++) await cursor.next()
      const waiting = cursor.next()
      await turns()
      await Promise.all([truncateAfter(3), walError(waiting, 'WAL_TRUNCATED')])
      await close()
    })
  })

  describe('nextIndex and caughtUp', () => {
    test('nextIndex is the one after the last entry handed out, whatever was read ahead', async () => {
      const { log, close } = await openFilled(600)
      const cursor = replay(log, 10)
      expect(cursor.nextIndex).toBe(10)
      for (let index = 10; index <= 600; index++) {
        const asked = cursor.next()
        expect(cursor.nextIndex).toBeLessThanOrEqual(index + 1)
        expect((await asked).value?.index).toBe(index)
        expect(cursor.nextIndex).toBe(index + 1)
      }
      expect(await cursor.next()).toEqual(done)
      expect(cursor.nextIndex).toBe(601)
      await close()
    })

    test('it passes entries that a filter refused once it knows them', async () => {
      const { log, close } = await openFilled(10)
      const cursor = tail(log, { filter: ({ index }) => index === 3 })
      await cursor.next()
      const waiting = cursor.next()
      await until(() => cursor.nextIndex === 11)
      await cursor.return?.()
      await waiting
      await close()
    })

    test('caughtUp tells when the last entry was read', async () => {
      const { log, close } = await openFilled(2)
      const caughtUp: number[] = []
      const cursor = tail(log, { onCaughtUp: index => caughtUp.push(index) })
      expect(cursor.caughtUp).toBe(false)
      await cursor.next()
      await cursor.next()
      const waiting = cursor.next()
      await until(() => cursor.caughtUp)
      expect(caughtUp).toEqual([2])
      await cursor.return?.()
      await waiting
      await close()
    })
  })

  describe('chunks', () => {
    test('hand out every entry, with the range they cover', async () => {
      const { log, close } = await openFilled(1000)
      const cursor = replay(log, { chunkMaxBytes: 1000 })
      const indexes: number[] = []
      for await (const chunk of cursor.chunks()) {
        expect(chunk.length).toBeGreaterThan(0)
        expect([chunk[0]?.index, chunk.at(-1)?.index]).toEqual([chunk.firstIndex, chunk.lastIndex])
        expect(cursor.nextIndex).toBe(chunk.lastIndex + 1)
        indexes.push(...chunk.map(entry => entry.index))
      }
      expect(indexes).toEqual(upTo(1000))
      await close()
    })

    test('leaving the loop closes the cursor', async () => {
      const { log, close } = await openFilled(5)
      const cursor = tail(log)
      const chunks = cursor.chunks()
      for await (const _chunk of chunks) break
      expect(await chunks.next()).toEqual(done)
      await close()
    })

    test('chunks and entries exclude each other', async () => {
      const { log, close } = await openFilled(5)
      const byEntry = replay(log)
      await byEntry.next()
      expect(() => byEntry.chunks()).toThrow(TypeError)
      const byChunk = replay(log)
      const chunks = byChunk.chunks()
      expect(await rejection(byChunk.next())).toBeInstanceOf(TypeError)
      expect(() => byChunk.chunks()).toThrow(TypeError)
      expect((await chunks.next()).value).toHaveLength(5)
      expect(await rejection(byChunk.next())).toBeInstanceOf(TypeError)
      await close()
    })

    test('a chunk that a filter emptied is not handed out', async () => {
      const { log, close } = await openFilled(1000)
      const lengths: number[] = []
      for await (const chunk of replay(log, { chunkMaxBytes: 300, filter: ({ index }) => index === 500 }).chunks()) {
        lengths.push(chunk.length)
      }
      expect(lengths).toEqual([1])
      await close()
    })
  })

  describe('a signal', () => {
    test('that has aborted: the first next() rejects with its reason, nothing is opened', async () => {
      const { log, close } = await openFilled(5)
      const cursor = tail(log, { signal: AbortSignal.abort('reason'), from: -1 })
      expect(await rejection(cursor.next())).toBe('reason')
      expect(await cursor.next()).toEqual(done)
      await close()
    })

    test('that aborts while waiting rejects with its reason and is let go', async () => {
      const { log, close } = await openFilled(1)
      const controller = new AbortController()
      const cursor = tail(log, { signal: controller.signal })
      await cursor.next()
      const waiting = [cursor.next(), cursor.next()]
      await turns()
      controller.abort(new Error('enough'))
      expect(await rejection(waiting[0] as Promise<unknown>)).toMatchObject({ message: 'enough' })
      expect(await waiting[1]).toEqual(done)
      expect(await cursor.next()).toEqual(done)
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
      await close()
    })

    test('that aborts, or a return(), while a chunk is on its way ends it before that', async () => {
      const { log, close } = await openFilled(5)
      const controller = new AbortController()
      const aborted = replay(log, { signal: controller.signal })
      const first = rejection(aborted.next())
      controller.abort('reason')
      expect(await first).toBe('reason')
      const left = replay(log)
      const waiting = left.next()
      await left.return?.()
      expect(await waiting).toEqual(done)
      await close()
    })

    test('that aborts in the middle of a chunk ends it there', async () => {
      const { log, close } = await openFilled(100)
      const controller = new AbortController()
      const cursor = replay(log, { signal: controller.signal })
      await cursor.next()
      controller.abort('reason')
      expect(cursor.nextIndex).toBe(2)
      expect(await rejection(cursor.next())).toBe('reason')
      expect(await cursor.next()).toEqual(done)
      await close()
    })

    test('of a cursor that has ended, was left or has failed has no listener', async () => {
      const { log, close } = await openFilled(5)
      const { signal } = new AbortController()
      await indexesOf(replay(log, { signal }))
      for await (const _entry of tail(log, { signal })) break
      await walError(replay(log, { signal, from: 99 }).next(), 'WAL_INDEX_OUT_OF_RANGE')
      expect(getEventListeners(signal, 'abort')).toHaveLength(0)
      await close()
    })

    test('shared by many cursors has one listener', async () => {
      const { log, close } = await openFilled(5)
      const controller = new AbortController()
      const cursors = Array.from({ length: 100 }, () => tail(log, { signal: controller.signal, from: 'end' }))
      const waiting = cursors.map(cursor => rejection(cursor.next()))
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(1)
      controller.abort('all')
      expect(new Set(await Promise.all(waiting))).toEqual(new Set(['all']))
      await close()
    })
  })

  test.each([
    ['within a chunk', {}],
    ['between two chunks', { chunkMaxBytes: 1 }],
  ])('closing the log fails a replay under way %s, so that one that ends has seen everything', async (_where, how) => {
    const { log, close } = await openFilled(1000)
    const cursor = replay(log, how)
    await cursor.next()
    await close()
    await walError(cursor.next(), 'WAL_CLOSED')
    expect(await cursor.next()).toEqual(done)
  })

  test('a replay that has seen everything ends, whether the log is closed or not', async () => {
    const { log, close } = await openFilled(3)
    const cursor = replay(log)
    for (let n = 0; n < 3; n++) await cursor.next()
    await close()
    expect(await cursor.next()).toEqual(done)
  })

  test('a tail that keeps up sees what closing the log commits, and ends', async () => {
    const { log, close } = await openFilled(3)
    const reading = indexesOf(tail(log))
    await turns()
    for (let n = 4; n <= 100; n++) log.accept(`${n}`)
    await close()
    expect(await reading).toEqual(upTo(100))
  })
}
