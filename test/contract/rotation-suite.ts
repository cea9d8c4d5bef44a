import { Subject } from 'rxjs'
import { describe, expect, test } from 'vitest'
import { bytes } from '../../src/codec/encoding.js'
import type { Trigger, Wal } from '../../src/types.js'
import { turns, until, walError } from '../helpers/waiting.js'
import { appendEach, dataOf, fill, indexesOf, type MakeHeldWorld, range } from './world.js'

/** How many entries each segment holds, oldest first. */
const shape = (wal: Wal<unknown, never>) => wal.segments().map(segment => segment.entries)

/** When a segment is sealed and the next begun, and that nobody notices. */
export function rotationSuite(makeWorld: MakeHeldWorld): void {
  describe('rotation', () => {
    test('by entries: exactly as many, whatever the commits; a batch is never cut', async () => {
      const wal = await makeWorld().open({ rotation: { maxEntries: 10 } })
      await Promise.all(range(1, 25).map(n => wal.append(`${n}`)))
      expect(shape(wal)).toEqual([10, 10, 5])
      await wal.appendBatch(range(1, 8).map(String))
      expect(shape(wal)).toEqual([10, 10, 5, 8])
      await wal.appendBatch(range(1, 30).map(String))
      await wal.append('alone')
      expect(shape(wal)).toEqual([10, 10, 5, 8, 30, 1])
      expect(await indexesOf(wal.replay())).toEqual(range(1, 64))
    })

    test('by bytes used, softly: at least one entry, and no more than the limit', async () => {
      const wal = await makeWorld().openAs(bytes(), { segmentMaxBytes: 10_000 })
      await Promise.all(range(1, 50).map(() => wal.append(Buffer.alloc(900))))
      await wal.append(Buffer.alloc(50_000))
      await wal.append(Buffer.alloc(10))
      const segments = wal.segments()
      expect(segments.at(-1)).toMatchObject({ entries: 1, sealed: false })
      expect(segments.at(-2)).toMatchObject({ entries: 1, sealed: true })
      for (const { bytes: used, entries } of segments.slice(0, -3)) {
        expect(used).toBeLessThanOrEqual(10_000 + 4096)
        expect(entries).toBeGreaterThanOrEqual(7)
      }
    })

    test('by age, counted from the creation of the segment, not of an empty one', async () => {
      const world = makeWorld()
      const wal = await world.open({ rotation: { maxAgeMs: 1000 } })
      world.clock.advance(5000)
      await turns()
      expect(shape(wal)).toEqual([0])
      await wal.append('a')
      world.clock.advance(1000)
      await until(() => wal.segments().length === 2)
      await wal.append('b')
      world.clock.advance(999)
      await turns()
      expect(shape(wal)).toEqual([1, 1])
      world.clock.advance(1)
      await until(() => wal.segments().length === 3)
      expect(shape(wal)).toEqual([1, 1, 0])
      world.clock.advance(100_000)
      await turns()
      expect(shape(wal)).toEqual([1, 1, 0])
    })

    test('by age goes on after a reopening with the age the segment has', async () => {
      const world = makeWorld()
      const before = await world.open({ rotation: { maxAgeMs: 1000 } })
      await before.append('a')
      world.clock.advance(600)
      await before.close()
      const wal = await world.open({ rotation: { maxAgeMs: 1000 } })
      world.clock.advance(399)
      await turns()
      expect(shape(wal)).toEqual([1])
      world.clock.advance(1)
      await until(() => wal.segments().length === 2)
    })

    test('by a trigger with subscribe, which is left when the log is closed', async () => {
      const world = makeWorld()
      const trigger = new Subject<void>()
      const wal = await world.open({ rotation: { trigger } })
      await fill(wal, 3)
      trigger.next()
      await until(() => wal.segments().length === 2)
      trigger.next()
      await turns()
      expect(shape(wal)).toEqual([3, 0])
      await wal.close()
      expect(trigger.observed).toBe(false)
      trigger.next()
    })

    test('by a trigger that is an AsyncIterable, which is left when the log is closed', async () => {
      let emit: () => void = () => undefined
      let left = false
      async function* trigger() {
        try {
          for (;;) {
            await new Promise<void>(resolve => (emit = resolve))
            yield 'now'
          }
        } finally {
          left = true
        }
      }
      const wal = await makeWorld().open({ rotation: { trigger: trigger() } })
      await fill(wal, 3)
      emit()
      await until(() => wal.segments().length === 2)
      await turns()
      await wal.close()
      emit()
      await until(() => left)
    })

    test('a trigger that fails or ends, or throws when it is left, harms nobody', async () => {
      const failing: Trigger = {
        subscribe(observer) {
          observer.next(1)
          observer.error(new Error('trigger'))
          return { unsubscribe: () => undefined }
        },
      }
      async function* broken() {
        yield 1
        throw new Error('trigger')
      }
      for (const trigger of [failing, broken()]) {
        const wal = await makeWorld().open({ rotation: { trigger } })
        await fill(wal, 3)
        await turns()
        expect(await wal.append('on')).toBe(4)
        await wal.close()
      }
    })

    test('explicit: resolves with what was sealed, undefined for an empty segment', async () => {
      const wal = await makeWorld().open()
      expect(await wal.rotate()).toBe(undefined)
      await fill(wal, 4)
      expect(await wal.rotate()).toMatchObject({ id: 1, firstIndex: 1, lastIndex: 4, entries: 4, sealed: true })
      expect(await wal.rotate()).toBe(undefined)
      expect(shape(wal)).toEqual([4, 0])
    })

    test('explicit: what was accepted before goes into the old segment, what comes later into the new one', async () => {
      const wal = await makeWorld().open()
      const calls = [wal.append('a'), wal.append('b')]
      const rotated = wal.rotate()
      calls.push(wal.append('c'))
      await Promise.all(calls)
      expect(await rotated).toMatchObject({ firstIndex: 1, lastIndex: 2 })
      expect(shape(wal)).toEqual([2, 1])
    })

    test('many at once seal what there is to seal', async () => {
      const wal = await makeWorld().open()
      const all: Promise<unknown>[] = []
      for (let n = 0; n < 10; n++) all.push(wal.append(`${n}`), wal.rotate(), wal.rotate())
      await Promise.all(all)
      expect(shape(wal).reduce((sum, entries) => sum + entries, 0)).toBe(10)
      expect(await dataOf(wal.replay())).toEqual(range(0, 9).map(String))
    })

    test('that finds no space leaves the log going on in the old segment, and is tried again', async () => {
      const world = makeWorld()
      const wal = await world.open({ rotation: { maxEntries: 5 } })
      await fill(wal, 5)
      const fault = world.fs.failNth(1, { error: 'ENOSPC', sticky: true, filter: ({ path }) => path.endsWith('.tmp') })
      await fill(wal, 3)
      expect([wal.status, ...shape(wal)]).toEqual(['open', 8])
      expect(fault.fired).toBeGreaterThan(0)
      world.fs.clearFaults()
      await appendEach(wal, 'a', 'b')
      expect(wal.segments().length).toBe(2)
      expect(await indexesOf(wal.replay())).toEqual(range(1, 10))
    })

    test('whose rename or directory sync fails: the log is failed, and comes back with everything', async () => {
      for (const kind of ['rename', 'syncDirectory', 'sync'] as const) {
        const world = makeWorld()
        const wal = await world.open({ io: 'buffered' })
        await fill(wal, 5)
        world.fs.failNth(1, { error: 'EIO', filter: operation => operation.kind === kind })
        await walError(wal.rotate(), 'WAL_FAILED')
        expect(wal.status).toBe('failed')
        await wal.close()
        const again = await world.open()
        expect(await indexesOf(again.replay())).toEqual(range(1, 5))
        expect(await again.append('on')).toBe(6)
      }
    })

    test('survives a reopening: sealed segments stay as they are', async () => {
      const world = makeWorld()
      const before = await world.open({ rotation: { maxEntries: 7 } })
      for (const n of range(1, 20)) await before.append(`${n}`, { timestamp: n })
      await before.close()
      const wal = await world.open({ rotation: { maxEntries: 7 } })
      expect(wal.segments()).toMatchObject([
        { id: 1, firstIndex: 1, lastIndex: 7, entries: 7, sealed: true, firstTimestamp: 1, lastTimestamp: 7 },
        { id: 2, firstIndex: 8, lastIndex: 14, entries: 7, sealed: true, firstTimestamp: 8, lastTimestamp: 14 },
        { id: 3, firstIndex: 15, lastIndex: 20, entries: 6, sealed: false, firstTimestamp: 15, lastTimestamp: 20 },
      ])
      await appendEach(wal, '21', '22')
      expect(shape(wal)).toEqual([7, 7, 7, 1])
      expect(wal.stats()).toMatchObject({ segments: 4, rotations: 1 })
    })
  })
}
