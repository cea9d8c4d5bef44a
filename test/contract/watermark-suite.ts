import { describe, expect, test } from 'vitest'
import { turns, until, walError } from '../helpers/waiting.js'
import { dataOf, fill, type HeldWorld, type MakeHeldWorld, marks, range } from './world.js'

/** How often the disk was asked to sync a segment, from now on. */
function countSyncs({ fs }: HeldWorld): { syncs: number } {
  const count = { syncs: 0 }
  fs.onOperation = ({ kind, path }) => {
    if (kind === 'sync' && path.endsWith('.wal')) count.syncs++
  }
  return count
}

/** Holds the syncs of segments back until the function it returns is called. */
function holdSyncs({ fs }: HeldWorld): () => void {
  let release: () => void = () => undefined
  const held = new Promise<void>(resolve => {
    release = resolve
  })
  fs.slow = ({ kind, path }) => (kind === 'sync' && path.endsWith('.wal') ? held : undefined)
  return () => {
    fs.slow = undefined
    release()
  }
}

/** The three watermarks under each policy, group commit, and the waits for them. `marks` gives last, committed, durable. */
export function watermarkSuite(makeWorld: MakeHeldWorld): void {
  describe("sync: 'always'", () => {
    test('an entry is accepted, then committed and durable at once, once it is synced', async () => {
      const world = makeWorld()
      const wal = await world.open()
      world.setDisk('held')
      const appended = wal.append('a')
      await turns()
      expect(marks(wal)).toEqual([1, 0, 0])
      world.setDisk('ok')
      expect(await appended).toBe(1)
      expect(marks(wal)).toEqual([1, 1, 1])
    })

    test('an entry that is written counts for nothing before it is synced', async () => {
      const world = makeWorld()
      const wal = await world.open({ io: 'buffered' })
      const release = holdSyncs(world)
      const appended = wal.append('a')
      await turns()
      expect(marks(wal)).toEqual([1, 0, 0])
      await walError(wal.get(1), 'WAL_INDEX_OUT_OF_RANGE')
      expect(await afterCut(world, 0).open()).toEqual([])
      release()
      await appended
      expect(await afterCut(world, 0).open()).toEqual(['a'])
    })

    test('entries accepted while a commit is under way share the next one', async () => {
      const world = makeWorld()
      const wal = await world.open()
      world.setDisk('held')
      const first = wal.append('first')
      await turns()
      const others = range(2, 100).map(n => wal.append(`${n}`))
      world.setDisk('ok')
      await Promise.all([first, ...others])
      expect(wal.stats()).toMatchObject({ commits: 2, entriesAppended: 100 })
    })

    test('a single append waits for no timer', async () => {
      const world = makeWorld()
      const wal = await world.open()
      await wal.append('a')
      await wal.append('b')
      expect([world.clock.now(), marks(wal)]).toEqual([0, [2, 2, 2]])
    })

    test('what an append has resolved survives the power cut that follows', async () => {
      const world = makeWorld()
      const wal = await world.open()
      await fill(wal, 10)
      expect(await afterCut(world, 0).open()).toEqual(range(1, 10).map(n => `entry ${n}`))
    })
  })

  describe('sync: { intervalMs }', () => {
    const sync = { intervalMs: 50 }

    test('an entry is committed once the system has it, durable within the interval of the first unsynced commit', async () => {
      const world = makeWorld()
      const wal = await world.open({ sync })
      await wal.append('a')
      expect(marks(wal)).toEqual([1, 1, 0])
      world.clock.advance(30)
      await wal.append('b')
      await turns()
      expect(marks(wal)).toEqual([2, 2, 0])
      world.clock.advance(20)
      await until(() => wal.durableIndex === 2)
      const count = countSyncs(world)
      world.clock.advance(1000)
      await turns()
      expect(count.syncs).toBe(0)
    })

    test('appends go on while the sync runs', async () => {
      const world = makeWorld()
      const wal = await world.open({ sync })
      await wal.append('a')
      const release = holdSyncs(world)
      world.clock.advance(50)
      await turns()
      await wal.append('b')
      expect(marks(wal)).toEqual([2, 2, 0])
      release()
      await until(() => wal.durableIndex >= 1)
      world.clock.advance(50)
      await until(() => wal.durableIndex === 2)
    })

    test('a failed background sync fails the log: both marks fall to durable', async () => {
      const world = makeWorld()
      const wal = await world.open({ sync })
      await wal.append('a')
      await wal.sync()
      await wal.append('b')
      world.fs.failNth(1, { error: 'EIO', filter: ({ kind }) => kind === 'sync' })
      world.clock.advance(50)
      await until(() => wal.status === 'failed')
      expect(marks(wal)).toEqual([1, 1, 1])
      await walError(wal.get(2), 'WAL_FAILED')
      expect((await wal.get(1)).data).toBe('a')
      await walError(wal.append('c'), 'WAL_FAILED')
    })

    test('a power cut takes from the end only what was acknowledged since the last sync', async () => {
      const world = makeWorld()
      const wal = await world.open({ sync })
      await fill(wal, 5)
      await wal.sync()
      await fill(wal, 5)
      for (const seed of range(0, 9)) {
        const kept = await afterCut(world, seed).open()
        expect(kept.length).toBeGreaterThanOrEqual(5)
        expect(kept).toEqual(range(1, kept.length).map(n => `entry ${n}`))
      }
    })
  })

  describe("sync: 'never'", () => {
    const sync = 'never'

    test('no append causes a sync, however long it takes', async () => {
      const world = makeWorld()
      const wal = await world.open({ sync })
      const count = countSyncs(world)
      for (let n = 0; n < 20; n++) await wal.append('x')
      world.clock.advance(1e9)
      await turns()
      expect([count.syncs, ...marks(wal)]).toEqual([0, 20, 20, 0])
    })

    test.each([
      ['sync()', wal => wal.sync()],
      ['waitForDurable()', wal => wal.waitForDurable(5)],
      ['sealing', wal => wal.rotate()],
      ['closing', wal => wal.close()],
    ] as [string, (wal: Awaited<ReturnType<HeldWorld['open']>>) => Promise<unknown>][])(
      '%s makes durable what is committed',
      async (_how, act) => {
        const world = makeWorld()
        const wal = await world.open({ sync })
        await fill(wal, 5)
        expect(wal.durableIndex).toBe(0)
        await act(wal)
        expect(wal.durableIndex).toBe(5)
        expect(await afterCut(world, 0).open()).toHaveLength(5)
      },
    )

    test('truncateAfter makes durable what it keeps', async () => {
      const world = makeWorld()
      const wal = await world.open({ sync })
      await fill(wal, 5)
      await wal.truncateAfter(3)
      expect(marks(wal)).toEqual([3, 3, 3])
      expect(await afterCut(world, 0).open()).toHaveLength(3)
    })
  })

  describe.each([['always'], [{ intervalMs: 50 }], ['never']] as const)('whatever the policy (sync: %j)', sync => {
    test('sync() resolves once all that was accepted before is on stable storage', async () => {
      const wal = await makeWorld().open({ sync })
      const appended = wal.append('a')
      await wal.sync()
      expect(marks(wal)).toEqual([1, 1, 1])
      await appended
      await wal.sync()
    })

    test('an idle sync() syncs nothing', async () => {
      const world = makeWorld()
      const wal = await world.open({ sync })
      await wal.append('a')
      await wal.sync()
      const count = countSyncs(world)
      await wal.sync()
      await wal.waitForDurable(1)
      expect(count.syncs).toBe(0)
    })

    test('waitForCommit and waitForDurable resolve for what was so long ago, and for 0', async () => {
      const wal = await makeWorld().open({ sync })
      await fill(wal, 3)
      for (const index of [0, 1, 3]) {
        await wal.waitForCommit(index)
        await wal.waitForDurable(index)
      }
      expect(wal.durableIndex).toBe(3)
    })

    test('waiting for what nobody appended is WAL_INDEX_OUT_OF_RANGE', async () => {
      const wal = await makeWorld().open({ sync })
      await fill(wal, 3)
      await walError(wal.waitForCommit(4), 'WAL_INDEX_OUT_OF_RANGE')
      await walError(wal.waitForDurable(4), 'WAL_INDEX_OUT_OF_RANGE')
    })

    test('after a failed write last and committed fall to durable, all waiters get WAL_FAILED with the cause', async () => {
      const world = makeWorld()
      const wal = await world.open({ sync })
      await fill(wal, 3)
      await wal.sync()
      world.setDisk('broken')
      const waits = [wal.append('a'), wal.appendBatch(['b']), wal.waitForCommit(4), wal.waitForDurable(5), wal.sync()]
      const errors = await Promise.all(waits.map(wait => walError(wait, 'WAL_FAILED')))
      expect(errors[0]?.cause).toMatchObject({ code: 'EIO' })
      expect(wal.status).toBe('failed')
      expect(marks(wal)).toEqual([3, 3, 3])
      for (const late of [wal.append('c'), wal.sync(), wal.drained(), wal.rotate(), wal.truncateAfter(1)])
        await walError(late, 'WAL_FAILED')
      expect(() => wal.submit('d')).toThrow(expect.objectContaining({ code: 'WAL_FAILED' }))
      expect((await wal.get(3)).data).toBe('entry 3')
      await wal.close()
      expect(wal.status).toBe('closed')
    })

    test('the log goes on after a failure and a reopening', async () => {
      const world = makeWorld()
      const wal = await world.open({ sync })
      await fill(wal, 3)
      await wal.sync()
      world.setDisk('broken')
      await walError(wal.append('lost?'), 'WAL_FAILED')
      await wal.close()
      world.setDisk('ok')
      const again = await world.open({ sync })
      expect(await dataOf(again.replay({ to: 3 }))).toEqual(['entry 1', 'entry 2', 'entry 3'])
      expect(await again.append('on')).toBe(again.lastIndex)
    })

    test('paused for want of space: the marks stay, entries keep their indexes, resume() writes them', async () => {
      const world = makeWorld()
      const wal = await world.open({ sync })
      await fill(wal, 2)
      await wal.sync()
      world.setDisk('full')
      const held = [wal.append('c'), wal.append('d')]
      await until(() => wal.status === 'paused')
      expect(marks(wal)).toEqual([4, 2, 2])
      const error = await walError(wal.append('e'), 'WAL_NO_SPACE')
      expect(error.cause).toMatchObject({ code: 'ENOSPC' })
      expect(() => wal.submit('e')).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }))
      expect((await wal.get(2)).data).toBe('entry 2')
      await walError(wal.resume(), 'WAL_NO_SPACE')
      expect(wal.status).toBe('paused')
      world.setDisk('ok')
      await wal.resume()
      expect(await Promise.all(held)).toEqual([3, 4])
      expect([wal.status, await wal.append('e')]).toEqual(['open', 5])
      await wal.resume()
    })

    test('closing a paused log rejects what it held with WAL_NO_SPACE; nothing of it comes back', async () => {
      const world = makeWorld()
      const wal = await world.open({ sync })
      await fill(wal, 2)
      world.setDisk('full')
      const held = walError(wal.append('c'), 'WAL_NO_SPACE')
      await until(() => wal.status === 'paused')
      world.setDisk('ok')
      await wal.close()
      await held
      const again = await world.open({ sync })
      expect([again.lastIndex, again.recoveryReport.clean]).toEqual([2, true])
    })
  })
}

/** The log as a power cut at this moment would leave it. */
function afterCut(world: HeldWorld, seed: number): { open: () => Promise<string[]> } {
  const fs = world.fs.crashImage({ seed })
  return {
    async open() {
      const wal = await world.open({ fileSystem: fs })
      return dataOf(wal.replay())
    },
  }
}
