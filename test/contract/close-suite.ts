import { once } from 'node:events'
import { describe, expect, test } from 'vitest'
import { bytes } from '../../src/codec/encoding.js'
import type { File } from '../../src/testing.js'
import type { Wal } from '../../src/types.js'
import { rejection, turns, until, walError } from '../helpers/waiting.js'
import { dataOf, fill, type HeldWorld, indexesOf, type MakeHeldWorld, range } from './world.js'

/** Closing: what is kept, what the calls of a closed log get, and everything at once. */
export function closeSuite(makeWorld: MakeHeldWorld): void {
  describe('close', () => {
    test('commits and syncs what was accepted', async () => {
      for (const sync of ['always', { intervalMs: 1000 }, 'never'] as const) {
        const world = makeWorld()
        const wal = await world.open({ sync })
        const calls = range(1, 20).map(n => wal.append(`entry ${n}`))
        wal.submit('submitted')
        await wal.close()
        expect(await Promise.all(calls)).toEqual(range(1, 20))
        expect([wal.status, wal.durableIndex]).toEqual(['closed', 21])
        const again = await world.open({ fileSystem: world.fs.crashImage({ seed: 0 }) })
        expect([again.lastIndex, again.recoveryReport.clean, again.recoveryReport.cutBytes]).toEqual([21, true, 0])
      }
    })

    test('is idempotent, also while it runs, and is what asyncDispose does', async () => {
      const world = makeWorld()
      let kept: Wal<string>
      {
        await using wal = await world.open()
        kept = wal
        await wal.append('a')
      }
      expect(kept.status).toBe('closed')
      const wal = await world.open()
      const closing = [wal.close(), wal.close()]
      expect(wal.status).toBe('closing')
      await Promise.all([...closing, wal[Symbol.asyncDispose]()])
      await wal.close()
      let closes = 0
      wal.on('close', () => closes++)
      await wal.close()
      await turns()
      expect(closes).toBe(0)
    })

    test('of a log nobody wrote to changes nothing; reopening it is clean', async () => {
      const world = makeWorld()
      for (let round = 0; round < 3; round++) {
        const wal = await world.open()
        expect([wal.lastIndex, wal.recoveryReport.clean, wal.segments().length]).toEqual([0, true, 1])
        await wal.close()
      }
      const names = await world.names()
      expect(names.filter(name => name.endsWith('.wal'))).toHaveLength(1)
    })

    const closed: [string, (wal: Wal<string>) => unknown][] = [
      ['append', wal => wal.append('a')],
      ['appendBatch', wal => wal.appendBatch(['a'])],
      ['appendBatch of nothing', wal => wal.appendBatch([])],
      ['appendEntries', wal => wal.appendEntries([{ data: 'a' }])],
      ['submit', wal => wal.submit('a')],
      ['get', wal => wal.get(1)],
      ['getSync', wal => wal.getSync(1)],
      ['getRange', wal => wal.getRange(1, 2)],
      ['replay', wal => wal.replay().next()],
      ['tail', wal => wal.tail().next()],
      ['readable', wal => wal.readable().toArray()],
      ['sync', wal => wal.sync()],
      ['drained', wal => wal.drained()],
      ['waitForCommit of what never comes', wal => wal.waitForCommit(99)],
      ['rotate', wal => wal.rotate()],
      ['truncateBefore', wal => wal.truncateBefore(2)],
      ['truncateAfter', wal => wal.truncateAfter(1)],
      ['reset', wal => wal.reset(5)],
      ['a transaction', wal => wal.transaction().commit()],
      ['a write', wal => once(wal.writable().end('a'), 'finish')],
    ]
    test.each(closed)('afterwards %s is WAL_CLOSED', async (_call, act) => {
      const wal = await makeWorld().open()
      await fill(wal, 3)
      await wal.close()
      const error = await walError(
        (async () => act(wal))().then(result => result),
        'WAL_CLOSED',
      )
      expect(error.message).toMatch('closed')
    })

    test('what can be told without the files is told still', async () => {
      const wal = await makeWorld().open()
      await fill(wal, 3)
      await wal.close()
      expect([wal.firstIndex, wal.lastIndex, wal.committedIndex, wal.durableIndex]).toEqual([1, 3, 3, 3])
      await wal.waitForCommit(3)
      await wal.waitForDurable(3)
      expect([wal.stats().segments, wal.segments().length]).toEqual([1, 1])
    })

    test('ends live readers, fails bounded ones with WAL_CLOSED, destroys writers', async () => {
      const world = makeWorld()
      const wal = await world.openAs(bytes())
      for (let n = 0; n < 20; n++) void wal.append(Buffer.alloc(1000))
      await wal.sync()
      const tail = indexesOf(wal.tail())
      const live = wal.readable().toArray()
      const [replay, bounded] = [wal.replay({ chunkMaxBytes: 1 }), wal.readable({ live: false, chunkMaxBytes: 1 })]
      await replay.next()
      const [writable, transform] = [wal.writable(), wal.transform()]
      const destroyed = [once(writable, 'error'), once(transform, 'error')]
      await turns(1)
      await wal.close()
      expect(await tail).toHaveLength(20)
      expect(await live).toHaveLength(20)
      await walError(replay.next(), 'WAL_CLOSED')
      expect(await rejection(bounded.toArray())).toMatchObject({ code: 'WAL_CLOSED' })
      for (const error of await Promise.all(destroyed)) expect(error[0]).toMatchObject({ code: 'WAL_CLOSED' })
      expect(wal.stats().cursors).toBe(0)
    })

    test('with everything under way at once every promise settles, and the log reopens', async () => {
      for (let delay = 0; delay < 25; delay++) {
        const world = makeWorld()
        const wal = await world.open({ rotation: { maxEntries: 5 } })
        await fill(wal, 12)
        const calls = [
          wal.append('a'),
          wal.appendBatch(['b', 'c']),
          wal.rotate(),
          wal.get(3),
          indexesOf(wal.tail()),
          indexesOf(wal.replay({ chunkMaxBytes: 1 })),
          wal.truncateBefore(4),
          wal.append('d'),
          wal.sync(),
          wal.rotate(),
          wal.append('e'),
        ]
        const settled = Promise.allSettled(calls)
        for (let n = 0; n < delay; n++) await Promise.resolve()
        calls.push(wal.close(), wal.append('late'), wal.close())
        const late = walError(calls.at(-2) as Promise<unknown>, 'WAL_CLOSED')
        const outcomes = [...(await settled), ...(await Promise.allSettled(calls.slice(-3)))]
        await late
        for (const outcome of outcomes) {
          if (outcome.status === 'rejected') expect(['WAL_CLOSED', 'WAL_TRUNCATED']).toContain(outcome.reason.code)
        }
        const again = await world.open()
        expect([again.recoveryReport.clean, again.firstIndex, again.lastIndex]).toEqual([true, 4, 17])
        expect(await dataOf(again.replay({ from: 13 }))).toEqual(['a', 'b', 'c', 'd', 'e'])
      }
    })

    test('whose sync fails rejects with WAL_FAILED, frees the lock, and can be tried no more', async () => {
      const world = makeWorld()
      const wal = await world.open({ sync: 'never' })
      await fill(wal, 3)
      world.fs.failNth(1, { error: 'EIO', filter: ({ kind }) => kind === 'sync' })
      await walError(wal.close(), 'WAL_FAILED')
      expect(wal.status).toBe('closed')
      const again = await world.open()
      expect(again.lastIndex).toBe(3)
    })

    test('leaves no file open', async () => {
      const world = makeWorld()
      const open = countOpenFiles(world)
      const wal = await world.open({ rotation: { maxEntries: 2 } })
      await fill(wal, 30)
      for (let n = 1; n <= 30; n++) await wal.get(n)
      await indexesOf(wal.replay())
      wal.getSync(7)
      const cursor = wal.tail()
      await cursor.next()
      await wal.close()
      await cursor.return?.()
      await until(() => open.files === 0)
    })
  })
}

/** Counts the files that are open on a world's disk. */
function countOpenFiles({ fs }: HeldWorld): { files: number } {
  const count = { files: 0 }
  const track = (file: File): File => {
    count.files++
    const [close, closeSync] = [file.close.bind(file), file.closeSync.bind(file)]
    let isOpen = true
    const isClosed = () => {
      if (isOpen) count.files--
      isOpen = false
    }
    file.close = () => {
      isClosed()
      return close()
    }
    file.closeSync = () => {
      isClosed()
      closeSync()
    }
    return file
  }
  const [open, openSync] = [fs.open.bind(fs), fs.openSync.bind(fs)]
  fs.open = async (...args) => track(await open(...args))
  fs.openSync = path => track(openSync(path))
  return count
}
