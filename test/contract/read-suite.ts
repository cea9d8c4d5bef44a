import { describe, expect, test } from 'vitest'
import { bytes, text } from '../../src/codec/encoding.js'
import type { Encoding, Entry, From, Wal } from '../../src/types.js'
import { rejection, walError } from '../helpers/waiting.js'
import { chunksOf, dataOf, entriesOf, fill, indexesOf, type MakeWorld, range } from './world.js'

/** Reading what is there: get, getSync, getRange, replay, and where a reader begins and ends. */
export function readSuite(makeWorld: MakeWorld): void {
  async function openFilled(count: number): Promise<Wal<string>> {
    const wal = await makeWorld().open()
    await fill(wal, count)
    return wal
  }

  describe('get and getSync', () => {
    test('give any committed entry, with its own enumerable properties', async () => {
      const wal = await openFilled(0)
      for (let n = 1; n <= 200; n++) await wal.append(`entry ${n}`, { term: n, timestamp: n / 2 })
      for (const index of [1, 200, 77, 78, 76, 199]) {
        const expected = { index, term: index, timestamp: index / 2, data: `entry ${index}` }
        const entry = await wal.get(index)
        expect(entry).toEqual({ ...expected, checksum: expect.any(Number) })
        expect(Object.keys(entry).sort()).toEqual(['checksum', 'data', 'index', 'term', 'timestamp'])
        expect(wal.getSync(index)).toEqual(entry)
      }
    })

    test('find what a reopened log holds', async () => {
      const world = makeWorld()
      const before = await world.open()
      await fill(before, 100)
      await before.close()
      const wal = await world.open()
      expect(wal.getSync(50).data).toBe('entry 50')
      expect((await wal.get(99)).data).toBe('entry 99')
      await fill(wal, 10)
      expect([wal.getSync(105).data, (await wal.get(51)).data]).toEqual(['entry 105', 'entry 51'])
    })

    test('give data of its own: no later call changes it, nor does changing it harm the log', async () => {
      const wal = await makeWorld().openAs(bytes())
      for (let n = 0; n < 50; n++) await wal.append(Buffer.alloc(100, n))
      const kept = [...range(1, 50).map(n => wal.getSync(n)), ...(await Promise.all(range(1, 50).map(n => wal.get(n))))]
      for (const [i, entry] of kept.entries()) expect(entry.data.equals(Buffer.alloc(100, i % 50))).toBe(true)
      kept[7]?.data.fill(99)
      expect([wal.getSync(8).data[0], (await wal.get(8)).data[0], kept[6]?.data[0], kept[8]?.data[0]]).toEqual([
        7, 7, 6, 8,
      ])
    })

    test.each([
      ['0', 0, 'WAL_INDEX_OUT_OF_RANGE'],
      ['below 0', -1, 'WAL_INDEX_OUT_OF_RANGE'],
      ['between two entries', 1.5, 'WAL_INDEX_OUT_OF_RANGE'],
      ['no number', Number.NaN, 'WAL_INDEX_OUT_OF_RANGE'],
      ['beyond the end', 21, 'WAL_INDEX_OUT_OF_RANGE'],
      ['infinitely far', Number.POSITIVE_INFINITY, 'WAL_INDEX_OUT_OF_RANGE'],
      ['removed', 4, 'WAL_TRUNCATED'],
    ] as const)('an index that is %s', async (_what, index, code) => {
      const wal = await openFilled(20)
      await wal.truncateBefore(5)
      const error = await walError(wal.get(index), code)
      if (code === 'WAL_TRUNCATED') expect(error).toMatchObject({ lost: 'before', firstIndex: 4, lastIndex: 4 })
      expect(() => wal.getSync(index)).toThrow(expect.objectContaining({ code }))
    })

    test('above committedIndex: accepted, not yet committed', async () => {
      const wal = await openFilled(3)
      wal.submit('later')
      expect((await walError(wal.get(4), 'WAL_INDEX_OUT_OF_RANGE')).message).toMatch('accepted, not yet committed')
      expect(() => wal.getSync(4)).toThrow('accepted, not yet committed')
      await wal.waitForCommit(4)
      expect(wal.getSync(4).data).toBe('later')
    })

    test('misuse is a TypeError', async () => {
      const wal = await openFilled(1)
      expect(await rejection(wal.get('1' as never))).toBeInstanceOf(TypeError)
      expect(() => wal.getSync(1n as never)).toThrow(TypeError)
      expect(await rejection(wal.get(1, 'now' as never))).toBeInstanceOf(TypeError)
      expect(await rejection(wal.getRange('1' as never, 1))).toBeInstanceOf(TypeError)
      await walError(wal.get(1, { sync: true } as never), 'WAL_INVALID_OPTION')
    })
  })

  describe('getRange', () => {
    test('gives the entries from and to inclusive, with data of their own', async () => {
      const wal = await openFilled(300)
      expect((await wal.getRange(1, 300)).map(entry => entry.index)).toEqual(range(1, 300))
      expect((await wal.getRange(150, 152)).map(entry => entry.data)).toEqual(['entry 150', 'entry 151', 'entry 152'])
      expect(await wal.getRange(300, 300)).toHaveLength(1)
    })

    test('is clamped at the end, empty where to is below from, out of range where from is', async () => {
      const wal = await openFilled(10)
      expect((await wal.getRange(9, 99)).map(entry => entry.index)).toEqual([9, 10])
      expect(await wal.getRange(5, 4)).toEqual([])
      await walError(wal.getRange(0, 5), 'WAL_INDEX_OUT_OF_RANGE')
      await walError(wal.getRange(12, 15), 'WAL_INDEX_OUT_OF_RANGE')
      await wal.truncateBefore(5)
      await walError(wal.getRange(4, 6), 'WAL_TRUNCATED')
    })
  })

  describe('from and to', () => {
    const cases: [string, From, number[]][] = [
      ["'start'", 'start', range(5, 20)],
      ["'end'", 'end', []],
      ['the first index', 5, range(5, 20)],
      ['an index', 17, range(17, 20)],
      ['the last index', 20, [20]],
      ['the next index', 21, []],
    ]
    test.each(cases)('%s', async (_what, from, expected) => {
      const wal = await openFilled(20)
      await wal.truncateBefore(5)
      expect(await indexesOf(wal.replay({ from }))).toEqual(expected)
      if (typeof from === 'number') expect(await indexesOf(wal.replay(from))).toEqual(expected)
    })

    test('the default is the start; to is inclusive and clamped', async () => {
      const wal = await openFilled(20)
      expect(await indexesOf(wal.replay())).toEqual(range(1, 20))
      expect(await indexesOf(wal.replay({ to: 3 }))).toEqual([1, 2, 3])
      expect(await indexesOf(wal.replay({ from: 18, to: 99 }))).toEqual([18, 19, 20])
      expect(await indexesOf(wal.replay({ from: 7, to: 6 }))).toEqual([])
      expect(await indexesOf(wal.tail({ from: 5, to: 7 }))).toEqual([5, 6, 7])
    })

    test.each([
      ['below 1', 0, 'WAL_INDEX_OUT_OF_RANGE'],
      ['above lastIndex + 1', 22, 'WAL_INDEX_OUT_OF_RANGE'],
      ['below firstIndex', 4, 'WAL_TRUNCATED'],
    ] as const)('from %s is told by the first read', async (_what, from, code) => {
      const wal = await openFilled(20)
      await wal.truncateBefore(5)
      await walError(wal.replay(from).next(), code)
      await walError(wal.tail(from).next(), code)
      const stream = wal.readable({ from })
      expect(await rejection(stream.toArray())).toMatchObject({ code })
    })

    test("'start' stays valid until the first entry is read, also when the log is truncated meanwhile", async () => {
      const wal = await openFilled(20)
      const [replay, tail] = [wal.replay(), wal.tail({ to: 20 })]
      await wal.truncateBefore(15)
      expect(await indexesOf(replay)).toEqual(range(15, 20))
      expect(await indexesOf(tail)).toEqual(range(15, 20))
    })

    test("'end' is where the log is at the call", async () => {
      const wal = await openFilled(3)
      const cursor = wal.tail({ from: 'end', to: 5 })
      await fill(wal, 2)
      expect(await indexesOf(cursor)).toEqual([4, 5])
    })

    test('replay ends at what was committed at the call', async () => {
      const wal = await openFilled(3)
      wal.submit('accepted only')
      const cursor = wal.replay()
      await fill(wal, 2)
      expect(await indexesOf(cursor)).toEqual([1, 2, 3])
    })
  })

  describe('from { timestamp }', () => {
    async function openStamped(stamps: number[]): Promise<Wal<string>> {
      const wal = await makeWorld().open()
      for (const timestamp of stamps) void wal.append(`at ${timestamp}`, { timestamp })
      await wal.sync()
      return wal
    }
    const firstFrom = async (wal: Wal<string>, timestamp: number | Date) =>
      (await wal.replay({ from: { timestamp } }).next()).value?.index

    test('is the lowest index whose timestamp is not below it', async () => {
      const wal = await openStamped(range(1, 200).map(n => n * 10))
      for (const [timestamp, index] of [
        [-5, 1],
        [10, 1],
        [10.5, 2],
        [1000, 100],
        [1001, 101],
        [2000, 200],
      ] as const)
        expect(await firstFrom(wal, timestamp)).toBe(index)
      expect(await firstFrom(wal, new Date(1500))).toBe(150)
      expect(await indexesOf(wal.replay({ from: { timestamp: 1990 } }))).toEqual([199, 200])
    })

    test('is exact also when timestamps are not monotonic', async () => {
      // A small generator of numbers, so that every run is the same.
      let seed = 1
      const stamps = range(1, 150).map(() => (seed = (seed * 48271) % 2147483647) % 1000)
      const wal = await openStamped(stamps)
      for (let timestamp = 0; timestamp <= 1000; timestamp += 7) {
        const expected = stamps.findIndex(stamp => stamp >= timestamp)
        expect(await firstFrom(wal, timestamp)).toBe(expected < 0 ? undefined : expected + 1)
      }
    })

    test('above all entries it is the next index; in an empty log the first', async () => {
      const wal = await openStamped([10, 20])
      const cursor = wal.tail({ from: { timestamp: 21 }, to: 3 })
      await wal.append('older than asked for, but new', { timestamp: 5 })
      expect(await indexesOf(cursor)).toEqual([3])
      const empty = await makeWorld().open()
      expect(await indexesOf(empty.replay({ from: { timestamp: 0 } }))).toEqual([])
    })

    test('is fixed at the call', async () => {
      const wal = await openStamped([10, 20])
      const cursor = wal.tail({ from: { timestamp: 15 }, to: 3 })
      await wal.append('later', { timestamp: 17 })
      expect(await indexesOf(cursor)).toEqual([2, 3])
    })

    test('finds nothing that was truncated', async () => {
      const wal = await openStamped(range(1, 100))
      await wal.truncateBefore(50)
      await wal.truncateAfter(80)
      expect(await firstFrom(wal, 10)).toBe(50)
      expect(await firstFrom(wal, 60)).toBe(60)
      expect(await firstFrom(wal, 81)).toBe(undefined)
    })

    test('is exact after a reopening', async () => {
      const world = makeWorld()
      const before = await world.open()
      for (const timestamp of [5, 90, 10, 95, 20]) await before.append('x', { timestamp })
      await before.close()
      const wal = await world.open()
      expect([await firstFrom(wal, 6), await firstFrom(wal, 91), await firstFrom(wal, 96)]).toEqual([2, 4, undefined])
    })
  })

  describe('chunks', () => {
    test('cover everything once, in order, and are no larger than asked for', async () => {
      const wal = await makeWorld().openAs(bytes())
      for (let n = 0; n < 300; n++) void wal.append(Buffer.alloc(100))
      await wal.sync()
      const chunks = await chunksOf(wal.replay({ chunkMaxBytes: 1000 }))
      expect(chunks.flatMap(chunk => chunk.map(entry => entry.index))).toEqual(range(1, 300))
      expect(chunks.length).toBeGreaterThanOrEqual(30)
      for (const chunk of chunks) {
        expect([chunk.firstIndex, chunk.lastIndex]).toEqual([chunk[0]?.index, chunk.at(-1)?.index])
        expect(chunk.length * 100).toBeLessThanOrEqual(1000)
      }
    })

    test('never end inside a batch, unless it is larger than the limit', async () => {
      const wal = await makeWorld().openAs(bytes())
      const sizes = [3, 1, 7, 2, 5, 1, 1, 200, 4, 6, 1, 9]
      for (const size of sizes) void wal.appendBatch(Array.from({ length: size }, () => Buffer.alloc(50)))
      await wal.sync()
      let end = 0
      const ends = sizes.map(size => (end += size))
      const large = range(21, 220)
      for (const chunkMaxBytes of [3000, 8000, 1_000_000]) {
        const chunks = await chunksOf(wal.replay({ chunkMaxBytes }))
        expect(chunks.flatMap(chunk => chunk.map(entry => entry.index))).toEqual(range(1, end))
        for (const { lastIndex } of chunks) {
          const isInLarge = large.includes(lastIndex) && chunkMaxBytes < 200 * 50
          expect(isInLarge || ends.includes(lastIndex)).toBe(true)
        }
      }
    })

    test('hold one entry that is larger than the limit', async () => {
      const wal = await makeWorld().openAs(bytes())
      for (const size of [10, 5_000_000, 10]) await wal.append(Buffer.alloc(size))
      const chunks = await chunksOf(wal.replay({ chunkMaxBytes: 1000 }))
      expect(chunks.map(chunk => [chunk.firstIndex, chunk.lastIndex])).toEqual([
        [1, 1],
        [2, 2],
        [3, 3],
      ])
    })

    test('a batch beyond a read is handed out whole too', async () => {
      const wal = await makeWorld().openAs(bytes())
      await wal.append('before')
      await wal.appendBatch(Array.from({ length: 30 }, () => Buffer.alloc(100_000)))
      await wal.append('after')
      const chunks = await chunksOf(wal.replay({ chunkMaxBytes: 10_000_000 }))
      expect(chunks.some(({ firstIndex, lastIndex }) => firstIndex <= 2 && lastIndex >= 31)).toBe(true)
      expect(chunks.flatMap(chunk => chunk.map(entry => entry.index))).toEqual(range(1, 32))
    })
  })

  describe('filter, copy and views', () => {
    test('filter leaves entries out and moves on over them', async () => {
      const wal = await openFilled(100)
      const cursor = wal.replay({ filter: ({ index }) => index % 10 === 0 })
      expect(await indexesOf(cursor)).toEqual(range(1, 10).map(n => n * 10))
      expect(cursor.nextIndex).toBe(101)
    })

    test('what a filter throws fails the cursor', async () => {
      const wal = await openFilled(10)
      const filter = ({ index }: Entry<string>) => {
        if (index === 5) throw new Error('filter')
        return true
      }
      const cursor = wal.replay({ filter })
      for (let index = 1; index < 5; index++) expect((await cursor.next()).value?.index).toBe(index)
      expect(await rejection(cursor.next())).toMatchObject({ message: 'filter' })
      expect(await indexesOf(wal.replay())).toHaveLength(10)
    })

    test('views are never overwritten, however much is read and written afterwards', async () => {
      const wal = await makeWorld().openAs(bytes())
      const block = (n: number) => Buffer.alloc(1000, n)
      const kept: Entry<Buffer>[] = []
      const following = (async () => {
        for await (const entry of wal.tail({ to: 200 })) kept.push(entry)
      })()
      for (let n = 1; n <= 200; n++) void wal.append(block(n))
      await following
      kept.push(...(await entriesOf(wal.replay())))
      for (let n = 0; n < 200; n++) void wal.append(block(255))
      await wal.sync()
      for (let round = 0; round < 3; round++) await entriesOf(wal.replay())
      for (const { index, data } of kept) expect(data.equals(block(index))).toBe(true)
      expect(kept).toHaveLength(400)
    })

    test('with copy each entry has memory of its own', async () => {
      const wal = await makeWorld().openAs(bytes())
      for (let n = 0; n < 10; n++) void wal.append(Buffer.alloc(10_000, n))
      await wal.sync()
      const copied = await dataOf(wal.replay({ copy: true }))
      expect(new Set(copied.map(data => data.buffer)).size).toBe(10)
      expect(copied.every((data, n) => data.equals(Buffer.alloc(10_000, n)))).toBe(true)
    })
  })

  describe('data that cannot be decoded', () => {
    test('fail the read with WAL_INVALID_ENTRY and the index; others can be read', async () => {
      const picky: Encoding<string> = {
        ...text(),
        decode(stored) {
          if (stored.toString() === 'bad') throw new Error('cannot')
          return stored.toString()
        },
      }
      const wal = await makeWorld().openAs(picky)
      for (const data of ['a', 'bad', 'c']) await wal.append(data)
      const reads = [
        () => wal.get(2),
        () => indexesOf(wal.replay()),
        () => wal.getRange(1, 3),
        () => wal.readable({ live: false }).toArray(),
      ]
      for (const read of reads) expect(await walError(read(), 'WAL_INVALID_ENTRY')).toMatchObject({ index: 2 })
      const cursor = wal.replay()
      expect((await cursor.next()).value?.data).toBe('a')
      await walError(cursor.next(), 'WAL_INVALID_ENTRY')
      expect(() => wal.getSync(2)).toThrow(expect.objectContaining({ code: 'WAL_INVALID_ENTRY', index: 2 }))
      expect(await dataOf(wal.replay({ from: 3 }))).toEqual(['c'])
      expect((await wal.get(1)).data).toBe('a')
    })
  })

  describe('an empty log', () => {
    test('has firstIndex === lastIndex + 1 and nothing to read', async () => {
      const wal = await makeWorld().open()
      expect([wal.firstIndex, wal.lastIndex]).toEqual([1, 0])
      for (const from of ['start', 'end', 1, { timestamp: 0 }] as From[])
        expect(await indexesOf(wal.replay({ from }))).toEqual([])
      expect(await wal.getRange(1, 10)).toEqual([])
      await walError(wal.get(1), 'WAL_INDEX_OUT_OF_RANGE')
    })

    test('may begin at any index: startIndex', async () => {
      const world = makeWorld()
      const wal = await world.open({ startIndex: 1000 })
      expect([wal.firstIndex, wal.lastIndex, wal.committedIndex, wal.durableIndex]).toEqual([1000, 999, 999, 999])
      expect(await wal.append('first')).toBe(1000)
      await wal.close()
      const again = await world.open({ startIndex: 5 })
      expect([again.firstIndex, again.lastIndex, await again.append('second')]).toEqual([1000, 1000, 1001])
    })

    test('the largest index is where it ends', async () => {
      const largest = Number.MAX_SAFE_INTEGER - 1
      const wal = await makeWorld().open({ startIndex: largest - 2 })
      await wal.append('a')
      await walError(wal.appendBatch(['b', 'c', 'd']), 'WAL_INDEX_OUT_OF_RANGE')
      expect((await wal.appendBatch(['b', 'c'])).lastIndex).toBe(largest)
      await walError(wal.append('d'), 'WAL_INDEX_OUT_OF_RANGE')
      expect(await indexesOf(wal.replay())).toEqual([largest - 2, largest - 1, largest])
      expect(wal.getSync(largest).data).toBe('c')
    })
  })
}
