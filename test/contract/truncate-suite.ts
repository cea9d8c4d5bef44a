import { describe, expect, test } from 'vitest'
import type { Cursor } from '../../src/types.js'
import { rejection, turns, until, walError } from '../helpers/waiting.js'
import { appendEach, dataOf, fill, indexesOf, type MakeHeldWorld, marks, range } from './world.js'

/** truncateBefore, truncateAfter and reset, exact to the entry, with everybody else at work. */
export function truncateSuite(makeWorld: MakeHeldWorld): void {
  describe('truncateBefore', () => {
    test('makes n the first index, removes what lies wholly below, and survives a reopening', async () => {
      const world = makeWorld()
      const wal = await world.open({ rotation: { maxEntries: 10 } })
      await fill(wal, 35)
      await wal.truncateBefore(25)
      expect([wal.firstIndex, wal.lastIndex, wal.segments()[0]?.id]).toEqual([25, 35, 3])
      expect(await indexesOf(wal.replay())).toEqual(range(25, 35))
      await wal.close()
      const again = await world.open()
      expect([again.firstIndex, again.lastIndex]).toEqual([25, 35])
      expect(await indexesOf(again.replay())).toEqual(range(25, 35))
    })

    test('n <= firstIndex: nothing to do; n = lastIndex + 1 empties the log, which keeps its next index', async () => {
      const world = makeWorld()
      const wal = await world.open()
      await fill(wal, 5)
      for (const n of [-1, 0, 1]) await wal.truncateBefore(n)
      expect(wal.firstIndex).toBe(1)
      await wal.truncateBefore(6)
      expect([wal.firstIndex, wal.lastIndex]).toEqual([6, 5])
      await wal.close()
      const again = await world.open()
      expect([again.firstIndex, again.lastIndex, await again.append('on')]).toEqual([6, 5, 6])
    })

    test('goes with what was accepted before, committed or not', async () => {
      const wal = await makeWorld().open()
      const appended = wal.append('a')
      await wal.truncateBefore(2)
      expect([await appended, wal.firstIndex, wal.lastIndex]).toEqual([1, 2, 1])
    })

    test('works while the log is paused, and tries to go on by itself', async () => {
      const world = makeWorld()
      const wal = await world.open({ rotation: { maxEntries: 5 } })
      await fill(wal, 12)
      world.setDisk('full')
      const held = wal.append('held')
      await until(() => wal.status === 'paused')
      await wal.truncateBefore(6)
      expect([wal.status, wal.firstIndex]).toEqual(['paused', 6])
      world.setDisk('ok')
      await wal.truncateBefore(11)
      expect(await held).toBe(13)
      expect([wal.status, wal.firstIndex]).toEqual(['open', 11])
    })
  })

  describe('truncateAfter', () => {
    test('makes n the last index and goes on there, across segments and inside batches', async () => {
      for (const n of [34, 25, 20, 12, 1]) {
        const world = makeWorld()
        const wal = await world.open({ rotation: { maxEntries: 10 } })
        await fill(wal, 15)
        await wal.appendBatch(range(16, 25).map(index => `entry ${index}`))
        await fill(wal, 10)
        await wal.truncateAfter(n)
        expect(marks(wal)).toEqual([n, n, n])
        expect(await indexesOf(wal.replay())).toEqual(range(1, n))
        expect(await wal.append('new')).toBe(n + 1)
        await wal.close()
        const again = await world.open()
        const old = range(1, n).map(index => `entry ${index}`)
        expect(await dataOf(again.replay())).toEqual([...old, 'new'])
        expect(again.recoveryReport.clean).toBe(true)
      }
    })

    test('n = firstIndex - 1 empties the log, which keeps its next index; n = lastIndex does nothing', async () => {
      const world = makeWorld()
      const wal = await world.open()
      await fill(wal, 9)
      await wal.truncateBefore(4)
      await wal.truncateAfter(9)
      expect([wal.firstIndex, wal.lastIndex]).toEqual([4, 9])
      await wal.truncateAfter(3)
      expect([wal.firstIndex, ...marks(wal)]).toEqual([4, 3, 3, 3])
      await wal.close()
      const again = await world.open()
      expect([again.firstIndex, again.lastIndex, await again.append('on')]).toEqual([4, 3, 4])
    })

    test('is ordered with appends: what was accepted before is cut too, what comes later takes the indexes', async () => {
      const world = makeWorld()
      const wal = await world.open()
      await fill(wal, 5)
      world.setDisk('held')
      const cut = [walError(wal.append('cut'), 'WAL_TRUNCATED'), walError(wal.appendBatch(['c', 'd']), 'WAL_TRUNCATED')]
      const waits = [walError(wal.waitForCommit(8), 'WAL_TRUNCATED'), walError(wal.waitForDurable(7), 'WAL_TRUNCATED')]
      await turns()
      const done = wal.truncateAfter(4)
      expect(marks(wal)).toEqual([4, 4, 4])
      const later = wal.append('new 5')
      expect(wal.lastIndex).toBe(5)
      world.setDisk('ok')
      await Promise.all([done, ...cut, ...waits])
      expect(await later).toBe(5)
      expect(await dataOf(wal.replay({ from: 4 }))).toEqual(['entry 4', 'new 5'])
      expect(await Promise.all(cut)).toMatchObject([{ lost: 'after' }, { lost: 'after' }])
    })

    test('those below n who wait are served', async () => {
      const world = makeWorld()
      const wal = await world.open()
      world.setDisk('held')
      const kept = [wal.append('a'), wal.append('b'), wal.appendBatch(['c', 'd'])]
      const cut = walError(wal.append('e'), 'WAL_TRUNCATED')
      await turns()
      const done = wal.truncateAfter(4)
      world.setDisk('ok')
      await Promise.all([done, cut])
      expect(await Promise.all(kept)).toEqual([1, 2, { firstIndex: 3, lastIndex: 4, count: 2 }])
    })

    test('a batch that is cut in two rejects', async () => {
      const world = makeWorld()
      const wal = await world.open()
      world.setDisk('held')
      const batch = walError(wal.appendBatch(['a', 'b', 'c']), 'WAL_TRUNCATED')
      await turns()
      const done = wal.truncateAfter(2)
      world.setDisk('ok')
      await Promise.all([done, batch])
      expect(await dataOf(wal.replay())).toEqual(['a', 'b'])
    })

    test('several in a row, with appends between them', async () => {
      const world = makeWorld()
      const wal = await world.open()
      const calls: Promise<unknown>[] = []
      for (let round = 0; round < 5; round++) {
        for (let n = 0; n < 4; n++) calls.push(wal.append(`round ${round}`).catch(error => error.code))
        calls.push(wal.truncateAfter(wal.lastIndex - 3))
      }
      await Promise.all(calls)
      expect(await dataOf(wal.replay())).toEqual(range(0, 4).map(round => `round ${round}`))
      await wal.close()
      expect(await dataOf((await world.open()).replay())).toHaveLength(5)
    })

    test('the default term is that of the entry at n', async () => {
      const wal = await makeWorld().open()
      for (const term of [1, 2, 3, 4]) await wal.append('x', { term })
      await wal.truncateAfter(2)
      await wal.append('y')
      expect((await wal.get(3)).term).toBe(2)
    })

    test('term is that of the entry at n also for what is accepted before the cut is done', async () => {
      const world = makeWorld()
      const wal = await world.open()
      for (const term of [1, 2, 3, 4]) await wal.append('x', { term })
      const done = wal.truncateAfter(2)
      const later = wal.append('y')
      await Promise.all([done, later])
      expect((await wal.get(3)).term).toBe(2)
    })

    test('cursors go on behind n with what takes its place, whatever they had read ahead', async () => {
      const wal = await makeWorld().open()
      await fill(wal, 10)
      for (const handedOut of [0, 1, 4, 5]) {
        const cursor = wal.tail({ to: 8 })
        const seen: string[] = []
        for (let n = 0; n < handedOut; n++) seen.push((await cursor.next()).value?.data ?? '')
        await wal.truncateAfter(5)
        for (const n of [6, 7, 8]) await wal.append(`entry ${n}`)
        for await (const { data } of cursor) seen.push(data)
        expect(seen).toEqual(range(1, 8).map(index => `entry ${index}`))
      }
    })

    test('a cursor that has handed out more fails at once, though it holds more that it has read', async () => {
      const wal = await makeWorld().open()
      await fill(wal, 10)
      const cursor = wal.tail()
      for (let n = 0; n < 7; n++) await cursor.next()
      void wal.truncateAfter(5)
      expect(await walError(cursor.next(), 'WAL_TRUNCATED')).toMatchObject({
        lost: 'after',
        firstIndex: 6,
        lastIndex: 7,
      })
      expect(await cursor.next()).toEqual({ value: undefined, done: true })
    })

    test('at whatever moment of a read it comes, nothing is handed out twice or left out', async () => {
      for (let delay = 0; delay < 30; delay++) {
        const world = makeWorld()
        const wal = await world.open()
        await fill(wal, 10)
        const seen: number[] = []
        const cursor = wal.tail({ from: 4, to: 12, filter: ({ index }) => index !== 5 })
        const reading = (async () => {
          for await (const { index } of cursor) seen.push(index)
        })().catch(error => error.code)
        for (let n = 0; n < delay; n++) await Promise.resolve()
        await wal.truncateAfter(6)
        await Promise.all(range(7, 12).map(n => wal.append(`new ${n}`)))
        const code = await reading
        const all = [4, ...range(6, 12)]
        if (code === undefined) expect(seen).toEqual(all)
        else expect([code, seen.length > 2, seen]).toEqual(['WAL_TRUNCATED', true, all.slice(0, seen.length)])
      }
    })

    test('a cursor that looks for a time finds what is left, or what comes then', async () => {
      const wal = await makeWorld().open()
      for (const n of range(1, 10)) await wal.append(`${n}`, { timestamp: n * 10 })
      const [left, gone, seeking] = [45, 75, 75].map(timestamp => wal.tail({ from: { timestamp }, to: 7 }))
      const first = seeking?.next()
      await wal.truncateAfter(5)
      for (const n of [6, 7]) await wal.append(`new ${n}`, { timestamp: 0 })
      expect(await indexesOf(left as Cursor<string>)).toEqual([5, 6, 7])
      expect(await indexesOf(gone as Cursor<string>)).toEqual([6, 7])
      expect((await first)?.value?.index).toBe(6)
    })

    test('a replay under way ends at n when it has not come so far', async () => {
      const wal = await makeWorld().open()
      await fill(wal, 10)
      const cursor = wal.replay({ chunkMaxBytes: 1 })
      await cursor.next()
      await wal.truncateAfter(4)
      expect(await indexesOf(cursor)).toEqual([2, 3, 4])
    })
  })

  describe('entries larger than what is read at a time', () => {
    test('are cut off, and kept, like any other', async () => {
      const world = makeWorld()
      const wal = await world.open()
      const large = ['a', 'b', 'c'].map(letter => letter.repeat(3_000_000))
      await wal.appendBatch(['small', ...large, 'behind'])
      await wal.append('last')
      await wal.truncateAfter(3)
      await wal.append('new')
      const kept = ['small', ...large.slice(0, 2), 'new']
      expect(await dataOf(wal.replay())).toEqual(kept)
      await wal.close()
      const again = await world.open()
      expect((await again.getRange(1, 4)).map(entry => entry.data)).toEqual(kept)
      await again.truncateAfter(1)
      expect(await dataOf(again.replay())).toEqual(['small'])
    })
  })

  describe('reset', () => {
    test.each([[1000], [3], [1]])('to %i empties the log', async nextIndex => {
      const world = makeWorld()
      const wal = await world.open({ rotation: { maxEntries: 4 } })
      await fill(wal, 10)
      await wal.reset(nextIndex)
      expect([wal.firstIndex, ...marks(wal)]).toEqual([nextIndex, nextIndex - 1, nextIndex - 1, nextIndex - 1])
      expect(await indexesOf(wal.replay())).toEqual([])
      await appendEach(wal, 'a', 'b')
      await wal.close()
      const again = await world.open()
      expect([again.firstIndex, again.lastIndex]).toEqual([nextIndex, nextIndex + 1])
      expect(await dataOf(again.replay())).toEqual(['a', 'b'])
      expect(again.segments()).toHaveLength(1)
    })

    test('cuts off what was accepted before; cursors that have read fail', async () => {
      const world = makeWorld()
      const wal = await world.open()
      await fill(wal, 3)
      const [read, fresh] = [wal.tail(), wal.tail({ to: 50 })]
      await read.next()
      world.setDisk('held')
      const cut = walError(wal.append('cut'), 'WAL_TRUNCATED')
      await turns()
      const done = wal.reset(50)
      world.setDisk('ok')
      await Promise.all([done, cut])
      await walError(read.next(), 'WAL_TRUNCATED')
      const first = fresh.next()
      await wal.append('fifty')
      expect((await first).value).toMatchObject({ index: 50, data: 'fifty' })
    })
  })

  describe('out of range', () => {
    test.each([
      ['truncateBefore', 12],
      ['truncateBefore', 1.5],
      ['truncateAfter', 11],
      ['truncateAfter', 3],
      ['truncateAfter', Number.NaN],
      ['reset', 0],
      ['reset', -1],
      ['reset', 2.5],
      ['reset', Number.MAX_SAFE_INTEGER + 1],
    ] as const)('%s(%d) is WAL_INDEX_OUT_OF_RANGE with nothing changed', async (call, n) => {
      const wal = await makeWorld().open()
      await fill(wal, 10)
      await wal.truncateBefore(5)
      await walError(wal[call](n), 'WAL_INDEX_OUT_OF_RANGE')
      expect([wal.firstIndex, wal.lastIndex]).toEqual([5, 10])
    })

    test.each([['truncateBefore'], ['truncateAfter'], ['reset']] as const)(
      '%s of what is no number is a TypeError',
      async call => {
        const wal = await makeWorld().open()
        expect(await rejection(wal[call]('1' as never))).toBeInstanceOf(TypeError)
        expect(await rejection(wal[call](undefined as never))).toBeInstanceOf(TypeError)
      },
    )
  })

  test('truncated at both ends while cursors read: each sees a run of what was there', async () => {
    const world = makeWorld()
    const wal = await world.open({ rotation: { maxEntries: 6 } })
    await fill(wal, 60)
    const readers = range(1, 10).map(async n => {
      const seen: number[] = []
      try {
        for await (const { index } of wal.tail({ chunkMaxBytes: n * 40 })) {
          seen.push(index)
          await turns(n % 3)
        }
      } catch (error) {
        return { seen, code: (error as { code: string }).code }
      }
      return { seen, code: 'ended' }
    })
    for (let round = 0; round < 8; round++) {
      await turns(3)
      await wal.truncateBefore(wal.firstIndex + 5)
      await wal.truncateAfter(wal.lastIndex - 2)
      await fill(wal, 3)
    }
    await wal.close()
    for (const { seen, code } of await Promise.all(readers)) {
      expect(['WAL_TRUNCATED', 'ended']).toContain(code)
      const first = seen[0] ?? 1
      expect(seen).toEqual(range(first, first + seen.length - 1))
    }
  })
}
