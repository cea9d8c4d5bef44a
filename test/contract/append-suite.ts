import { describe, expect, test } from 'vitest'
import { bytes, json, text } from '../../src/codec/encoding.js'
import type { Encoding, Wal } from '../../src/types.js'
import { rejection, turns, walError } from '../helpers/waiting.js'
import { appendEach, dataOf, entriesOf, fill, type MakeWorld, range } from './world.js'

/** Accepting entries: what API.md says under "Writing", but for streams, transactions and truncation. */
export function appendSuite(makeWorld: MakeWorld): void {
  describe('append', () => {
    test('gives indexes from 1 on, in the order of the calls, without gaps', async () => {
      const wal = await makeWorld().open()
      const data = Array.from({ length: 500 }, (_, i) => `${i}`)
      expect(await Promise.all(data.map(one => wal.append(one)))).toEqual(range(1, 500))
      expect(await dataOf(wal.replay())).toEqual(data)
    })

    test('accepts at the call: the index is given and lastIndex has moved before anything is awaited', async () => {
      const wal = await makeWorld().open()
      const calls = [wal.append('a'), wal.appendBatch(['b', 'c']), wal.append('d')]
      expect([wal.firstIndex, wal.lastIndex, wal.committedIndex]).toEqual([1, 4, 0])
      expect(await Promise.all(calls)).toEqual([1, { firstIndex: 2, lastIndex: 3, count: 2 }, 4])
    })

    test('copies at the call: the buffer may be used again at once', async () => {
      const wal = await makeWorld().openAs(bytes())
      const buffer = Buffer.from('first')
      const calls: Promise<unknown>[] = [wal.append(buffer)]
      buffer.write('again')
      calls.push(wal.appendBatch([buffer]))
      buffer.write('lost!')
      await Promise.all(calls)
      expect((await dataOf(wal.replay())).map(String)).toEqual(['first', 'again'])
    })

    test('takes every size from nothing up', async () => {
      const wal = await makeWorld().openAs(bytes())
      const sizes = [0, 1, 7, 8, 9, 4095, 4096, 4097, 100_000, 3_000_000]
      for (const size of sizes) await wal.append(Buffer.alloc(size, size))
      const read = await dataOf(wal.replay())
      expect(read.map(data => data.length)).toEqual(sizes)
      expect(read.every((data, i) => data.equals(Buffer.alloc(sizes[i] ?? 0, sizes[i])))).toBe(true)
    })

    test('takes strings and any view of bytes, gives Buffers', async () => {
      const wal = await makeWorld().openAs(bytes())
      const inside = new Uint8Array([9, 1, 2, 3, 9]).subarray(1, 4)
      await wal.append('grün')
      await wal.append(inside)
      const [string, view] = await dataOf(wal.replay())
      expect(string).toBeInstanceOf(Buffer)
      expect([string?.toString(), view]).toEqual(['grün', Buffer.from([1, 2, 3])])
    })
  })

  describe('term and timestamp', () => {
    test('term is that of the last entry, 0 at first; its order is not checked', async () => {
      const wal = await makeWorld().open()
      await wal.append('a')
      await wal.append('b', { term: 7 })
      await wal.append('c')
      await wal.append('d', { term: 3 })
      await wal.appendBatch(['e', 'f'], { term: 9 })
      await wal.appendEntries([{ data: 'g' }, { data: 'h', term: Number.MAX_SAFE_INTEGER }, { data: 'i' }])
      const terms = (await entriesOf(wal.replay())).map(entry => entry.term)
      const most = Number.MAX_SAFE_INTEGER
      expect(terms).toEqual([0, 7, 7, 3, 9, 9, 9, most, most])
    })

    test('the default term goes on after a reopening', async () => {
      const world = makeWorld()
      const before = await world.open()
      await before.append('a', { term: 5 })
      await before.close()
      const wal = await world.open()
      await wal.append('b')
      expect((await wal.get(2)).term).toBe(5)
    })

    test('timestamp is now, may be given as number or Date, and keeps its fraction', async () => {
      const wal = await makeWorld().open()
      await wal.append('a', { timestamp: 1234.5678 })
      await wal.append('b', { timestamp: new Date(5000) })
      await wal.appendBatch(['c', 'd'], { timestamp: -1 })
      await wal.appendEntries([
        { data: 'e', timestamp: 0 },
        { data: 'f', timestamp: new Date(99) },
      ])
      const stamps = (await entriesOf(wal.replay())).map(entry => entry.timestamp)
      expect(stamps).toEqual([1234.5678, 5000, -1, -1, 0, 99])
    })

    test('timestamps at the edges of what a number can be survive a reopening', async () => {
      const stamps = [-0, 5e-324, -1e21, 1e21, 1e-7, Number.MAX_VALUE, Number.MAX_SAFE_INTEGER]
      const world = makeWorld()
      const before = await world.open()
      for (const timestamp of stamps) await before.append('x', { timestamp })
      await before.close()
      const wal = await world.open()
      expect((await entriesOf(wal.replay())).map(entry => entry.timestamp)).toEqual(stamps.map(stamp => stamp + 0))
    })

    test.each([
      ['a negative term', { term: -1 }, 'WAL_INVALID_ENTRY'],
      ['half a term', { term: 0.5 }, 'WAL_INVALID_ENTRY'],
      ['a term beyond the safe integers', { term: 2 ** 53 }, 'WAL_INVALID_ENTRY'],
      ['no time', { timestamp: Number.NaN }, 'WAL_INVALID_ENTRY'],
      ['the end of time', { timestamp: Number.POSITIVE_INFINITY }, 'WAL_INVALID_ENTRY'],
      ['a date that is none', { timestamp: new Date('never') }, 'WAL_INVALID_ENTRY'],
    ] as const)('%s is refused with nothing accepted', async (_what, options, code) => {
      const wal = await makeWorld().open()
      await wal.append('before')
      await walError(wal.append('no', options), code)
      await walError(wal.appendBatch(['no', 'no'], options), code)
      await walError(wal.appendEntries([{ data: 'no' }, { data: 'no', ...options }]), code)
      expect(() => wal.submit('no', options)).toThrow(expect.objectContaining({ code }))
      await wal.append('after')
      expect(await dataOf(wal.replay())).toEqual(['before', 'after'])
    })
  })

  describe('a batch', () => {
    test('appendBatch and appendEntries resolve with the range', async () => {
      const wal = await makeWorld().open()
      expect(await wal.appendBatch(['a', 'b', 'c'])).toEqual({ firstIndex: 1, lastIndex: 3, count: 3 })
      expect(await wal.appendEntries([{ data: 'd' }])).toEqual({ firstIndex: 4, lastIndex: 4, count: 1 })
      expect(await dataOf(wal.replay())).toEqual(['a', 'b', 'c', 'd'])
    })

    test('of nothing resolves to a count of 0, and still compares expectedLastIndex', async () => {
      const wal = await makeWorld().open()
      await wal.append('a')
      const nothing = { firstIndex: 2, lastIndex: 1, count: 0 }
      expect(await wal.appendBatch([])).toEqual(nothing)
      expect(await wal.appendEntries([], { expectedLastIndex: 1 })).toEqual(nothing)
      await walError(wal.appendBatch([], { expectedLastIndex: 0 }), 'WAL_WRONG_EXPECTED_INDEX')
      expect(wal.lastIndex).toBe(1)
    })

    test('is refused whole for one entry that cannot be encoded, wherever it stands', async () => {
      const wal = await makeWorld().openAs<number, number>(failingAt(13))
      for (const batch of [
        [13, 1, 2],
        [1, 13, 2],
        [1, 2, 13],
      ]) {
        await walError(wal.appendBatch(batch), 'WAL_INVALID_ENTRY')
        expect(wal.lastIndex).toBe(0)
      }
      await wal.appendBatch([1, 2, 3])
      expect(await dataOf(wal.replay())).toEqual([1, 2, 3])
    })

    test('is refused whole for one entry over the limit; what others append is not concerned', async () => {
      const wal = await makeWorld().open({ maxEntryBytes: 10, maxBatchBytes: 20 })
      const other = wal.append('other')
      await walError(wal.appendBatch(['a', 'x'.repeat(11)]), 'WAL_ENTRY_TOO_LARGE')
      await walError(wal.appendBatch(['x'.repeat(10), 'x'.repeat(10), 'x']), 'WAL_BATCH_TOO_LARGE')
      await walError(wal.append('x'.repeat(11)), 'WAL_ENTRY_TOO_LARGE')
      expect(() => wal.submit('x'.repeat(11))).toThrow(expect.objectContaining({ code: 'WAL_ENTRY_TOO_LARGE' }))
      expect(await other).toBe(1)
      expect(await wal.append('x'.repeat(10))).toBe(2)
      expect((await wal.appendBatch(['x'.repeat(10), 'x'.repeat(10)])).lastIndex).toBe(4)
    })

    test('has a limit of its own, which may be lower than that of an entry', async () => {
      const wal = await makeWorld().open({ maxBatchBytes: 100 })
      await walError(wal.appendBatch(['x'.repeat(60), 'x'.repeat(41)]), 'WAL_BATCH_TOO_LARGE')
      await wal.appendBatch(['x'.repeat(60), 'x'.repeat(40)])
      expect(await wal.append('x'.repeat(101))).toBe(3)
    })

    test('may be larger than the high-water mark, than a segment, and than both', async () => {
      const wal = await makeWorld().open({ highWaterMark: 1000, segmentMaxBytes: 5000 })
      const data = Array.from({ length: 100 }, (_, i) => `${i}`.padEnd(500, 'x'))
      await wal.append('before')
      await wal.appendBatch(data)
      await wal.append('after')
      expect(await dataOf(wal.replay())).toEqual(['before', ...data, 'after'])
    })
  })

  describe('expectedLastIndex', () => {
    test('is compared at the call, with what was accepted, not with what is committed', async () => {
      const wal = await makeWorld().open()
      const calls = [
        wal.append('a', { expectedLastIndex: 0 }),
        wal.append('b', { expectedLastIndex: 1 }),
        wal.appendBatch(['c', 'd'], { expectedLastIndex: 2 }),
        wal.appendEntries([{ data: 'e' }], { expectedLastIndex: 4 }),
      ]
      expect(wal.submit('f', { expectedLastIndex: 5 })).toBe(6)
      await Promise.all(calls)
      await wal.waitForCommit(6)
      expect(await dataOf(wal.replay())).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
    })

    test('that is wrong: WAL_WRONG_EXPECTED_INDEX with the real one, nothing accepted', async () => {
      const wal = await makeWorld().open()
      await fill(wal, 3)
      for (const expectedLastIndex of [0, 2, 4, -1]) {
        const error = await walError(wal.append('no', { expectedLastIndex }), 'WAL_WRONG_EXPECTED_INDEX')
        expect(error).toMatchObject({ lastIndex: 3 })
        expect(error.message).toMatch(`${expectedLastIndex}`)
        await walError(wal.appendBatch(['no'], { expectedLastIndex }), 'WAL_WRONG_EXPECTED_INDEX')
        await walError(wal.appendEntries([{ data: 'no' }], { expectedLastIndex }), 'WAL_WRONG_EXPECTED_INDEX')
        expect(() => wal.submit('no', { expectedLastIndex })).toThrow(
          expect.objectContaining({ code: 'WAL_WRONG_EXPECTED_INDEX' }),
        )
      }
      expect(wal.lastIndex).toBe(3)
    })

    test('of many writers that race for one place, one wins', async () => {
      const wal = await makeWorld().open()
      const race = range(1, 50).map(n => wal.append(`${n}`, { expectedLastIndex: 0 }))
      const won = (await Promise.allSettled(race)).filter(({ status }) => status === 'fulfilled')
      expect([won.length, wal.lastIndex]).toEqual([1, 1])
    })
  })

  describe('submit', () => {
    test('gives the index at once; waitForCommit says when it is committed', async () => {
      const wal = await makeWorld().open()
      expect([wal.submit('a'), wal.submit('b'), wal.lastIndex, wal.committedIndex]).toEqual([1, 2, 2, 0])
      await wal.waitForCommit(2)
      expect(wal.committedIndex).toBe(2)
    })

    test('waits for indexes of one commit share one promise', async () => {
      const wal = await makeWorld().open()
      const indexes = range(1, 10).map(n => wal.submit(`${n}`))
      const waits = new Set(indexes.map(index => wal.waitForCommit(index)))
      expect(waits.size).toBe(1)
      await Promise.all(waits)
    })
  })

  describe('misuse', () => {
    const wrong: [string, (wal: Wal<string>) => Promise<unknown>][] = [
      ['data of a wrong type', wal => wal.append(1 as never)],
      ['data of a wrong type in a batch', wal => wal.appendBatch(['a', {} as never])],
      ['data of a wrong type in entries', wal => wal.appendEntries([{ data: 'a' }, { data: null as never }])],
      ['a batch that is none', wal => wal.appendBatch(7 as never)],
      ['nothing for a batch', wal => wal.appendBatch(undefined as never)],
      ['a string for a batch', wal => wal.appendBatch('abc' as never)],
      ['nothing for entries', wal => wal.appendEntries(undefined as never)],
      ['entries that are none', wal => wal.appendEntries(['a'] as never)],
      ['null for an entry', wal => wal.appendEntries([null] as never)],
      ['options that are none', wal => wal.append('a', 'options' as never)],
      ['null for options', wal => wal.append('a', null as never)],
      ['null for options of a batch', wal => wal.appendBatch(['a'], null as never)],
      ['null for options of entries', wal => wal.appendEntries([{ data: 'a' }], null as never)],
      ['a term that is no number', wal => wal.append('a', { term: '1' as never })],
      ['a term that is no number in entries', wal => wal.appendEntries([{ data: 'a', term: 1n as never }])],
      ['a timestamp that is neither number nor Date', wal => wal.append('a', { timestamp: '1' as never })],
      ['an expectedLastIndex that is no number', wal => wal.append('a', { expectedLastIndex: '0' as never })],
      ['a signal that is none', wal => wal.append('a', { signal: {} as never })],
    ]
    test.each(wrong)('%s is a TypeError, by rejection, with nothing accepted', async (_what, call) => {
      const wal = await makeWorld().open()
      expect(await rejection(call(wal))).toBeInstanceOf(TypeError)
      expect(wal.lastIndex).toBe(0)
      await appendEach(wal, 'fine')
    })

    test('an unknown option is refused by name', async () => {
      const wal = await makeWorld().open()
      const refused = [
        wal.append('a', { terms: 1 } as never),
        wal.appendBatch(['a'], { index: 1 } as never),
        wal.appendEntries([{ data: 'a' }], { term: 1 } as never),
        wal.waitForCommit(0, { timeout: 1 } as never),
      ]
      for (const [at, name] of ['terms', 'index', 'term', 'timeout'].entries())
        expect((await walError(refused[at] as Promise<unknown>, 'WAL_INVALID_OPTION')).message).toMatch(`'${name}'`)
      expect(() => wal.submit('a', { sgnal: 1 } as never)).toThrow(/'sgnal'/)
      expect(wal.lastIndex).toBe(0)
    })
  })

  describe('an encoding', () => {
    test.each([
      ['throws', () => failing(new Error('no way')), /no way/],
      ['returns nothing', () => undefined, /undefined/],
      ['returns a string', () => 'text', /string/],
      ['returns a promise', () => Promise.resolve(Buffer.from('a')), /Promise/],
      ['returns an ArrayBuffer', () => new ArrayBuffer(3), /ArrayBuffer/],
    ])('that %s: that call is WAL_INVALID_ENTRY, no index is consumed, others go on', async (_how, encode, message) => {
      const picky: Encoding<string> = {
        ...text(),
        encode: data => (data === 'bad' ? (encode() as never) : Buffer.from(data)),
      }
      const wal = await makeWorld().openAs(picky)
      const calls = [wal.append('a'), wal.append('bad'), wal.append('b')]
      expect((await walError(calls[1] as Promise<unknown>, 'WAL_INVALID_ENTRY')).message).toMatch(message)
      expect(await Promise.all([calls[0], calls[2]])).toEqual([1, 2])
      expect(() => wal.submit('bad')).toThrow(expect.objectContaining({ code: 'WAL_INVALID_ENTRY' }))
    })

    test('that rejects later harms nobody', async () => {
      const later: Encoding<string> = { ...text(), encode: () => Promise.reject(new Error('later')) as never }
      const wal = await makeWorld().openAs(later)
      await walError(wal.append('a'), 'WAL_INVALID_ENTRY')
      await turns()
    })

    test('that appends while it encodes: the inner entry comes first, both are there', async () => {
      let wal: Wal<string>
      const inner: Promise<number>[] = []
      const nested: Encoding<string> = {
        ...text(),
        encode(data) {
          if (data.startsWith('outer')) inner.push(wal.append(`inner of ${data}`))
          return Buffer.from(data)
        },
      }
      wal = await makeWorld().openAs(nested)
      expect(await wal.append('outer')).toBe(2)
      expect(await wal.appendBatch(['outer a', 'outer b'])).toEqual({ firstIndex: 5, lastIndex: 6, count: 2 })
      expect(await Promise.all(inner)).toEqual([1, 3, 4])
      expect(await dataOf(wal.replay())).toEqual([
        'inner of outer',
        'outer',
        'inner of outer a',
        'inner of outer b',
        'outer a',
        'outer b',
      ])
    })

    test('that closes the log while it encodes: WAL_CLOSED, what came before is kept', async () => {
      const world = makeWorld()
      let wal: Wal<string>
      const closing: Encoding<string> = {
        ...text(),
        encode(data) {
          if (data === 'close') void wal.close()
          return Buffer.from(data)
        },
      }
      wal = await world.openAs(closing)
      await wal.append('kept')
      await walError(wal.append('close'), 'WAL_CLOSED')
      await wal.close()
      expect(await dataOf((await world.open()).replay())).toEqual(['kept'])
    })

    test('json keeps what JSON keeps, refuses what it cannot store', async () => {
      const wal = await makeWorld().openAs(json())
      const values = [null, 0, '', 'grün', [], {}, { a: [1, { b: null }] }, true, 1e300]
      await wal.appendBatch(values)
      expect(await dataOf(wal.replay())).toEqual(values)
      const loop: Record<string, unknown> = {}
      loop['self'] = loop
      for (const bad of [undefined, () => 1, 1n, loop]) await walError(wal.append(bad), 'WAL_INVALID_ENTRY')
      expect(wal.lastIndex).toBe(values.length)
    })
  })
}

function failing(error: Error): never {
  throw error
}

/** Numbers as text, all but one. */
function failingAt(bad: number): Encoding<number> {
  return {
    name: 'numbers',
    encode: data => (data === bad ? failing(new Error(`not ${bad}`)) : Buffer.from(`${data}`)),
    decode: stored => Number(stored.toString()),
  }
}
