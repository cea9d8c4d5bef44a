import { describe, expect, test } from 'vitest'
import { bytes } from '../../src/codec/encoding.js'
import type { Cursor, Entry, Wal } from '../../src/types.js'
import { collectGarbage } from '../helpers/garbage.js'
import { turns, until, walError } from '../helpers/waiting.js'
import { fill, indexesOf, type MakeWorld, range } from './world.js'

/** Cursors beside a writer: every entry once, in order, whatever their speed, across rotation and from disk to live. */
export function followSuite(makeWorld: MakeWorld): void {
  /** Reads to `to`, pausing for some turns of the event loop after every so many entries. */
  async function readAt(cursor: Cursor<unknown>, pauseEvery: number): Promise<number[]> {
    const seen: number[] = []
    for await (const { index } of cursor) {
      seen.push(index)
      if (pauseEvery > 0 && seen.length % pauseEvery === 0) await turns(1 + (seen.length % 3))
    }
    return seen
  }

  async function appendInWaves(wal: Wal<string>, upTo: number): Promise<void> {
    while (wal.lastIndex < upTo) {
      const size = Math.min(1 + (wal.lastIndex % 23), upTo - wal.lastIndex)
      await wal.appendBatch(Array.from({ length: size }, (_, i) => `entry ${wal.lastIndex + 1 + i}`))
      if (wal.lastIndex % 5 === 0) await wal.rotate()
    }
  }

  test.each([[1], [10], [100]])('%i cursors of different speeds see every entry once, in order', async count => {
    const wal = await makeWorld().open({ sync: 'never', rotation: { maxEntries: 50 } })
    const last = 1000
    await appendInWaves(wal, 200)
    const cursors = range(1, count).map(n => readAt(wal.tail({ to: last }), n % 7))
    await appendInWaves(wal, 700)
    cursors.push(readAt(wal.tail({ to: last, chunkMaxBytes: 64 }), 3))
    await appendInWaves(wal, last)
    for (const seen of await Promise.all(cursors)) expect(seen).toEqual(range(1, last))
    expect(wal.segments().length).toBeGreaterThan(10)
    expect(wal.stats().cursors).toBe(0)
  })

  test('cursors opened at every moment of a run see all that follows', async () => {
    const wal = await makeWorld().open({ sync: 'never', rotation: { maxEntries: 9 } })
    const readers: Promise<number[]>[] = []
    const firsts: number[] = []
    for (let n = 1; n <= 60; n++) {
      firsts.push(wal.committedIndex + 1)
      readers.push(readAt(wal.tail({ from: 'end', to: 200 }), n % 4))
      await fill(wal, 3)
    }
    await fill(wal, 20)
    const seen = await Promise.all(readers)
    for (const [i, indexes] of seen.entries()) expect(indexes).toEqual(range(firsts[i] ?? 0, 200))
  })

  test('one that falls behind what is kept in memory reads the disk, and comes back', async () => {
    const wal = await makeWorld().openAs(bytes(), { sync: 'never' })
    const events: string[] = []
    const cursor = wal.tail({
      onCaughtUp: index => events.push(`caught up ${index}`),
      onFellBehind: index => events.push(`fell behind ${index}`),
    })
    await wal.append('first')
    expect((await cursor.next()).value?.index).toBe(1)
    const waiting = cursor.next()
    await until(() => cursor.caughtUp)
    await wal.append('second')
    expect((await waiting).value?.index).toBe(2)
    const chunk = Buffer.alloc(100_000)
    for (let n = 0; n < 60; n++) void wal.append(chunk)
    await wal.sync()
    for (let index = 3; index <= 62; index++) expect((await cursor.next()).value?.index).toBe(index)
    const last = cursor.next()
    await until(() => cursor.caughtUp)
    await cursor.return?.()
    await last
    expect(events[0]).toMatch(/^caught up/)
    expect(events).toContain('fell behind 2')
    expect(events.at(-1)).toBe('caught up 62')
  })

  test('caughtUp fires once per arrival, with the last index read', async () => {
    const wal = await makeWorld().open()
    await fill(wal, 5)
    const arrivals: number[] = []
    const reading = indexesOf(wal.tail({ to: 8, onCaughtUp: index => arrivals.push(index) }))
    await until(() => arrivals.length === 1)
    await fill(wal, 3)
    expect(await reading).toEqual(range(1, 8))
    expect(arrivals[0]).toBe(5)
  })

  test('entries come as they are committed: a tail does not wait for more', async () => {
    const wal = await makeWorld().open()
    const cursor = wal.tail()
    for (let n = 1; n <= 20; n++) {
      const next = cursor.next()
      await wal.append(`${n}`)
      expect((await next).value?.data).toBe(`${n}`)
    }
    await cursor.return?.()
  })

  test('no reader sees what is not committed', async () => {
    const wal = await makeWorld().open()
    let beyond = 0
    const check = ({ index }: Entry<string>) => {
      if (index > wal.committedIndex) beyond++
      return true
    }
    const reading = indexesOf(wal.tail({ to: 300, filter: check }))
    for (let n = 0; n < 300; n++) {
      wal.submit(`${n}`)
      if (n % 10 === 0) await turns(1)
    }
    expect([(await reading).length, beyond]).toEqual([300, 0])
  })

  describe('a cursor whose entries are removed', () => {
    test("before it: WAL_TRUNCATED with lost 'before' and the range, told once", async () => {
      const wal = await makeWorld().open({ rotation: { maxEntries: 10 } })
      await fill(wal, 50)
      const cursor = wal.tail({ chunkMaxBytes: 1 })
      for (let n = 0; n < 5; n++) await cursor.next()
      await wal.truncateBefore(30)
      const error = await walError(
        (async () => {
          for (;;) await cursor.next()
        })(),
        'WAL_TRUNCATED',
      )
      expect(error).toMatchObject({ lost: 'before', lastIndex: 29 })
      expect(error.firstIndex).toBeGreaterThanOrEqual(6)
      expect(await cursor.next()).toEqual({ value: undefined, done: true })
    })

    test("after it, having handed them out: WAL_TRUNCATED with lost 'after', at once, also while it waits", async () => {
      const wal = await makeWorld().open()
      await fill(wal, 10)
      const [waiting, idle] = [wal.tail(), wal.tail()]
      for (let n = 0; n < 10; n++) await Promise.all([waiting.next(), idle.next()])
      const wait = waiting.next()
      await turns()
      await Promise.all([
        wal.truncateAfter(7),
        walError(wait, 'WAL_TRUNCATED').then(error =>
          expect(error).toMatchObject({ lost: 'after', firstIndex: 8, lastIndex: 10 }),
        ),
      ])
      await fill(wal, 5)
      await walError(idle.next(), 'WAL_TRUNCATED')
    })

    test('after it, not handed out yet: it goes on with what takes their place', async () => {
      const wal = await makeWorld().open()
      await fill(wal, 10)
      const cursor = wal.tail({ chunkMaxBytes: 1 })
      for (let n = 0; n < 5; n++) await cursor.next()
      await wal.truncateAfter(5)
      await wal.append('new 6')
      expect((await cursor.next()).value).toMatchObject({ index: 6, data: 'new 6' })
      await cursor.return?.()
    })
  })
}

/** What readers cost in memory: for a world that does not itself keep files in memory. */
export function idleCursorSuite(makeWorld: MakeWorld): void {
  test('cursors that never read cost the writer nothing', async () => {
    const wal = await makeWorld().openAs(bytes(), { sync: 'never', segmentMaxBytes: 4 << 20 })
    const idle = range(1, 100).map(() => wal.tail())
    const half = wal.tail()
    await wal.append('first')
    await half.next()
    const chunk = Buffer.alloc(100_000)
    const before = process.memoryUsage().arrayBuffers
    for (let n = 0; n < 300; n++) await wal.append(chunk)
    expect(wal.stats()).toMatchObject({ cursors: 101, pendingBytes: 0 })
    // Memory that nobody holds may take more than one collection to go.
    await until(() => {
      collectGarbage()
      return process.memoryUsage().arrayBuffers - before < 25_000_000
    }, 'little memory is held')
    expect((await half.next()).value?.index).toBe(2)
    for (const cursor of [...idle, half]) await cursor.return?.()
    expect(wal.stats().cursors).toBe(0)
  })
}
