import {
  concatMap,
  delay,
  EMPTY,
  firstValueFrom,
  from,
  lastValueFrom,
  map,
  type Observable,
  of,
  Subject,
  take,
  tap,
  throwError,
  toArray,
} from 'rxjs'
import { describe, expect, test } from 'vitest'
import { text } from '../../src/codec/encoding.js'
import { appendTo, observe } from '../../src/rxjs.js'
import type { Entry, Wal } from '../../src/types.js'
import { rejection, turns, until, walError } from '../helpers/waiting.js'
import type { ControlledLog, ControlledLogOptions } from './controlled-log.js'

export type OpenWal = <T, In>(
  options: ControlledLogOptions<T, In>,
) => Promise<ControlledLog<T, In> & { readonly wal: Wal<T, In> }>

/** What walrus-wal/rxjs promises over any log. */
export function rxjsSuite(openWal: OpenWal): void {
  async function openFilled(count: number) {
    const opened = await openWal({ encoding: text() })
    if (count > 0) opened.log.acceptBatch(Array.from({ length: count }, (_, i) => ({ data: `${i + 1}` })))
    await opened.log.committed(count)
    return opened
  }
  const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)
  const words = Array.from({ length: 1000 }, (_, i) => `word ${i}`)
  const all = <T>(values: Observable<T>) => lastValueFrom(values.pipe(toArray()))

  /** Everything an Observable does, as it does it. */
  function record<T>(values: Observable<T>) {
    const seen: T[] = []
    const end: { complete?: true; error?: unknown } = {}
    const subscription = values.subscribe({
      next: value => seen.push(value),
      error: error => (end.error = error),
      complete: () => (end.complete = true),
    })
    return { seen, end, subscription }
  }

  describe('observe', () => {
    test('bounded, it emits every entry once, in order, and completes', async () => {
      const { wal, close } = await openFilled(1000)
      expect((await all(observe(wal, { live: false }))).map(entry => entry.index)).toEqual(upTo(1000))
      expect((await all(observe(wal, { live: false, from: 998, to: 999 }))).map(entry => entry.data)).toEqual([
        '998',
        '999',
      ])
      await close()
    })

    test('live, it goes on until the log is closed, and completes then', async () => {
      const { wal, log, close } = await openFilled(2)
      const { seen, end } = record(observe(wal))
      await until(() => seen.length === 2)
      await log.committed(log.accept('3'))
      await until(() => seen.length === 3)
      await close()
      await until(() => end.complete === true)
      expect(seen.map(entry => entry.data)).toEqual(['1', '2', '3'])
    })

    test('never emits inside subscribe(), also not an error', async () => {
      const { wal, close } = await openFilled(3)
      const bounded = record(observe(wal, { live: false }))
      expect([bounded.seen.length, bounded.end]).toEqual([0, {}])
      await until(() => bounded.end.complete === true)
      await close()
      const closed = record(observe(wal))
      expect(closed.end).toEqual({})
      await until(() => closed.end.error !== undefined)
      expect(closed.end.error).toMatchObject({ code: 'WAL_CLOSED' })
    })

    test.each([
      ['as they are', {}],
      ['projected', { project: (entry: Entry<string>) => [entry] }],
    ])('the event loop has its turn between batches of entries %s', async (_how, options) => {
      const { wal, close } = await openFilled(2000)
      let turnsTaken = 0
      let running = true
      const count = () => {
        turnsTaken++
        if (running) setImmediate(count)
      }
      setImmediate(count)
      const longest = { run: 0, turn: -1, current: 0 }
      await lastValueFrom(
        observe(wal, { live: false, ...options }).pipe(
          tap(() => {
            longest.current = longest.turn === turnsTaken ? longest.current + 1 : 1
            longest.turn = turnsTaken
            longest.run = Math.max(longest.run, longest.current)
          }),
        ),
      )
      running = false
      expect(longest.run).toBeLessThanOrEqual(512)
      await close()
    })

    test("'end' is fixed at subscription, each time anew", async () => {
      const { wal, log, close } = await openFilled(2)
      const later = observe(wal, { from: 'end' }).pipe(take(1))
      await log.committed(log.accept('3'))
      const first = firstValueFrom(later)
      await log.committed(log.accept('4'))
      expect((await first).data).toBe('4')
      const second = firstValueFrom(later)
      await log.committed(log.accept('5'))
      expect((await second).data).toBe('5')
      await close()
    })

    test('unsubscribing stops it in the middle of a batch', async () => {
      const { wal, close } = await openFilled(1000)
      const seen: Entry<string>[] = []
      await new Promise<void>(resolve => {
        const subscription = observe(wal).subscribe(entry => {
          seen.push(entry)
          if (seen.length !== 10) return
          subscription.unsubscribe()
          resolve()
        })
      })
      await turns(10)
      expect(seen).toHaveLength(10)
      await close()
    })

    test('a signal that aborts is its error', async () => {
      const { wal, close } = await openFilled(1)
      const controller = new AbortController()
      const { seen, end } = record(observe(wal, { signal: controller.signal }))
      await until(() => seen.length === 1)
      controller.abort('reason')
      await until(() => 'error' in end)
      expect(end.error).toBe('reason')
      await close()
    })

    test('what is wrong with the position or the log is its error', async () => {
      const { wal, log, setDisk, close } = await openFilled(1)
      await walError(all(observe(wal, { from: 9 })), 'WAL_INDEX_OUT_OF_RANGE')
      const { seen, end } = record(observe(wal))
      await until(() => seen.length === 1)
      setDisk('broken')
      log.accept('lost')
      await until(() => end.error !== undefined)
      expect(end.error).toMatchObject({ code: 'WAL_FAILED' })
      await close()
    })

    test('options are checked at the call', async () => {
      const { wal, close } = await openFilled(1)
      for (const bad of [{ life: 1 }, { concurrency: 0, project: () => EMPTY }]) {
        expect(() => observe(wal, bad as never)).toThrow(expect.objectContaining({ code: 'WAL_INVALID_OPTION' }))
      }
      expect(() => observe(wal, { project: 1 as never })).toThrow(TypeError)
      await close()
    })
  })

  describe('observe with project', () => {
    test('projects one entry at a time, in order, whatever each takes', async () => {
      const { wal, close } = await openFilled(50)
      let active = 0
      let most = 0
      const project = (entry: Entry<string>) =>
        of(entry.index).pipe(
          tap(() => (most = Math.max(most, ++active))),
          delay(entry.index % 3),
          tap(() => active--),
        )
      expect(await all(observe(wal, { live: false, project }))).toEqual(upTo(50))
      expect(most).toBe(1)
      await close()
    })

    test('concurrency is the number projected at a time, and no entry is read ahead of its slot', async () => {
      const { wal, close } = await openFilled(10)
      const open: Subject<number>[] = []
      const project = () => {
        const slot = new Subject<number>()
        open.push(slot)
        return slot
      }
      const { seen, end } = record(observe(wal, { live: false, project, concurrency: 3 }))
      await turns(10)
      expect(open).toHaveLength(3)
      open[1]?.next(1)
      open[1]?.complete()
      await until(() => open.length === 4)
      await turns(10)
      expect(open).toHaveLength(4)
      for (let n = 0; n < 9; n++) {
        await until(() => open.length > n)
        open[n]?.complete()
      }
      await until(() => open.length === 10)
      await turns()
      expect(end).toEqual({})
      open[9]?.complete()
      await until(() => end.complete === true)
      expect(seen).toEqual([1])
      await close()
    })

    test('takes what an ObservableInput may be: a promise, an iterable, nothing', async () => {
      const { wal, close } = await openFilled(3)
      expect(await all(observe(wal, { live: false, project: async entry => entry.index }))).toEqual([1, 2, 3])
      expect(await all(observe(wal, { live: false, project: entry => [entry.index, 0] }))).toEqual([1, 0, 2, 0, 3, 0])
      expect(await all(observe(wal, { live: false, project: () => EMPTY }))).toEqual([])
      await close()
    })

    test('what the work throws or rejects with is the error', async () => {
      const { wal, close } = await openFilled(3)
      const failing = [
        () => {
          throw new Error('work')
        },
        () => throwError(() => new Error('work')),
        () => Promise.reject(new Error('work')),
      ]
      for (const project of failing) {
        expect(await rejection(all(observe(wal, { project })))).toMatchObject({ message: 'work' })
      }
      await close()
    })

    test('unsubscribing stops the work in hand and begins no other', async () => {
      const { wal, close } = await openFilled(10)
      const slot = new Subject<number>()
      let begun = 0
      const project = () => {
        begun++
        return slot
      }
      const { subscription } = record(observe(wal, { project }))
      await until(() => begun === 1)
      subscription.unsubscribe()
      expect(slot.observed).toBe(false)
      slot.complete()
      await turns(10)
      expect(begun).toBe(1)
      await close()
    })
  })

  describe('appendTo', () => {
    test('appends what comes and emits the committed entries in order', async () => {
      const { wal, log, close } = await openFilled(0)
      const entries = await all(from(words).pipe(appendTo(wal)))
      expect(entries.map(entry => entry.data)).toEqual(words)
      expect(entries.map(entry => entry.index)).toEqual(upTo(1000))
      expect(log.committedIndex).toBe(1000)
      await close()
    })

    test('an entry is emitted once it is committed, and completion waits for it', async () => {
      const { wal, log, setDisk, close } = await openFilled(0)
      setDisk('held')
      const { seen, end } = record(of('a').pipe(appendTo(wal)))
      await turns()
      expect([log.lastIndex, seen.length, end]).toEqual([1, 0, {}])
      setDisk('ok')
      await until(() => end.complete === true)
      expect(seen).toMatchObject([{ index: 1, data: 'a' }])
      await close()
    })

    test('an empty source completes', async () => {
      const { wal, close } = await openFilled(0)
      expect(await all((EMPTY as Observable<string>).pipe(appendTo(wal)))).toEqual([])
      await close()
    })

    test('entries of others are not emitted, however many', async () => {
      const { wal, log, close } = await openFilled(0)
      const source = new Subject<string>()
      const { seen, end } = record(source.pipe(appendTo(wal)))
      source.next('a')
      for (let n = 0; n < 100; n++) log.accept('other')
      source.next('b')
      await until(() => seen.length === 2)
      for (let n = 0; n < 1000; n++) log.accept('other')
      source.next('c')
      source.complete()
      await until(() => end.complete === true)
      expect(seen.map(entry => entry.data)).toEqual(['a', 'b', 'c'])
      await close()
    })

    test('an error of the source comes after the entries before it', async () => {
      const { wal, close } = await openFilled(0)
      const source = new Subject<string>()
      const { seen, end } = record(source.pipe(appendTo(wal)))
      source.next('a')
      source.next('b')
      source.error('source')
      await until(() => 'error' in end)
      expect([seen.map(entry => entry.data), end.error]).toEqual([['a', 'b'], 'source'])
      await close()
    })

    test('an entry that is refused ends it after those before it, and nothing after it is appended', async () => {
      const { wal, log, close } = await openFilled(0)
      const { seen, end } = record(from(['a', 42 as never, 'b', 'c']).pipe(appendTo(wal)))
      await until(() => 'error' in end)
      expect(end.error).toBeInstanceOf(TypeError)
      expect(seen.map(entry => entry.data)).toEqual(['a'])
      await turns()
      expect(log.lastIndex).toBe(1)
      await close()
    })

    test('a failing log is its error', async () => {
      const { wal, setDisk, close } = await openFilled(0)
      setDisk('broken')
      await walError(all(from(words).pipe(appendTo(wal))), 'WAL_FAILED')
      await close()
    })

    test('unsubscribing leaves the source and emits nothing more; what was appended stays', async () => {
      const { wal, log, close } = await openFilled(0)
      const source = new Subject<string>()
      const { seen, subscription } = record(source.pipe(appendTo(wal)))
      source.next('a')
      subscription.unsubscribe()
      expect(source.observed).toBe(false)
      await turns()
      expect([seen.length, log.committedIndex]).toEqual([0, 1])
      await close()
    })

    test('fits between operators', async () => {
      const { wal, close } = await openFilled(0)
      const indexes = from(['x', 'y']).pipe(
        map(word => word.toUpperCase()),
        appendTo(wal),
        concatMap(async entry => `${entry.index}${entry.data}`),
      )
      expect(await all(indexes)).toEqual(['1X', '2Y'])
      await close()
    })
  })
}
