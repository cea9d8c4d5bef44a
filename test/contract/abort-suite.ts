import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import type { Wal } from '../../src/types.js'
import { rejection, turns, until, walError } from '../helpers/waiting.js'
import { dataOf, fill, type HeldWorld, type MakeHeldWorld, range } from './world.js'

/** Cancellation at every await. */
export function abortSuite(makeWorld: MakeHeldWorld): void {
  const reason = new Error('enough')
  const aborted = AbortSignal.abort(reason)

  /** A log that has committed three entries, accepted a fourth, and is above its high-water mark. */
  async function openHeld(): Promise<{ world: HeldWorld; wal: Wal<string>; held: Promise<unknown> }> {
    const world = makeWorld()
    const wal = await world.open({ highWaterMark: 1 })
    await fill(wal, 3)
    world.setDisk('held')
    const held = wal.append('held')
    await turns()
    return { world, wal, held }
  }

  describe('a signal that has aborted', () => {
    const calls: [string, (wal: Wal<string>) => Promise<unknown>][] = [
      ['append', wal => wal.append('a', { signal: aborted })],
      ['appendBatch', wal => wal.appendBatch(['a'], { signal: aborted })],
      ['appendEntries', wal => wal.appendEntries([{ data: 'a' }], { signal: aborted })],
      ['commit of a transaction', wal => begun(wal).commit({ signal: aborted })],
      ['waitForCommit', wal => wal.waitForCommit(1, { signal: aborted })],
      ['waitForDurable', wal => wal.waitForDurable(1, { signal: aborted })],
      ['drained', wal => wal.drained({ signal: aborted })],
      ['sync', wal => wal.sync({ signal: aborted })],
      ['get', wal => wal.get(1, { signal: aborted })],
      ['getRange', wal => wal.getRange(1, 3, { signal: aborted })],
      ['replay', wal => wal.replay({ signal: aborted }).next()],
      ['tail', wal => wal.tail({ signal: aborted }).next()],
      ['chunks', wal => wal.tail({ signal: aborted }).chunks().next()],
    ]
    test.each(calls)('%s rejects with its reason, nothing done', async (_call, act) => {
      const wal = await makeWorld().open()
      await fill(wal, 3)
      const { syncs } = wal.stats()
      expect(await rejection(act(wal))).toBe(reason)
      await turns()
      expect([wal.lastIndex, wal.stats().syncs, wal.stats().cursors]).toEqual([3, syncs, 0])
    })

    test('destroys a readable as addAbortSignal does', async () => {
      const wal = await makeWorld().open()
      const stream = wal.readable({ signal: aborted })
      expect(await rejection(stream.toArray())).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason })
    })
  })

  describe('a signal that aborts while waiting', () => {
    const appends: [string, (wal: Wal<string>, signal: AbortSignal) => Promise<unknown>, number][] = [
      ['append', (wal, signal) => wal.append('a', { signal }), 5],
      ['appendBatch', (wal, signal) => wal.appendBatch(['a', 'b'], { signal }), 6],
      ['appendEntries', (wal, signal) => wal.appendEntries([{ data: 'a' }, { data: 'b' }], { signal }), 6],
      ['commit of a transaction', (wal, signal) => begun(wal).commit({ signal }), 5],
    ]
    test.each(appends)(
      '%s: WAL_OUTCOME_UNKNOWN with index and cause; the entries stay accepted',
      async (_call, act, index) => {
        const { world, wal, held } = await openHeld()
        const controller = new AbortController()
        const appended = walError(act(wal, controller.signal), 'WAL_OUTCOME_UNKNOWN')
        expect(wal.lastIndex).toBe(index)
        controller.abort(reason)
        expect(await appended).toMatchObject({ index, cause: reason })
        expect(wal.lastIndex).toBe(index)
        world.setDisk('ok')
        await held
        await wal.waitForCommit(index)
        expect(await dataOf(wal.replay({ from: 5 }))).toEqual(['a', 'b'].slice(0, index - 4))
      },
    )

    const waits: [string, (wal: Wal<string>, signal: AbortSignal) => Promise<unknown>][] = [
      ['waitForCommit', (wal, signal) => wal.waitForCommit(4, { signal })],
      ['waitForDurable', (wal, signal) => wal.waitForDurable(4, { signal })],
      ['drained', (wal, signal) => wal.drained({ signal })],
      ['sync', (wal, signal) => wal.sync({ signal })],
      ['tail', (wal, signal) => wal.tail({ signal, from: 4 }).next()],
      ['chunks', (wal, signal) => wal.tail({ signal, from: 4 }).chunks().next()],
    ]
    test.each(waits)('%s rejects with the reason, the log goes on', async (_call, act) => {
      const { world, wal, held } = await openHeld()
      const controller = new AbortController()
      const waiting = rejection(act(wal, controller.signal))
      await turns()
      controller.abort(reason)
      expect(await waiting).toBe(reason)
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
      world.setDisk('ok')
      await held
      expect(await wal.append('on')).toBe(5)
    })

    test('at whatever moment it aborts: accepted, or nothing done, and never half a batch', async () => {
      for (let delay = 0; delay < 40; delay++) {
        const world = makeWorld()
        const wal = await world.open()
        const controller = new AbortController()
        const { signal } = controller
        const outcomes = [
          wal.append('one', { signal }),
          wal.appendBatch(['two', 'three'], { signal }),
          wal.sync({ signal }),
        ].map(call =>
          call.then(
            () => 'done',
            error => error.code ?? error,
          ),
        )
        for (let n = 0; n < delay; n++) await Promise.resolve()
        controller.abort(reason)
        const [one, batch, sync] = await Promise.all(outcomes)
        expect(['done', 'WAL_OUTCOME_UNKNOWN']).toContain(one)
        expect(['done', 'WAL_OUTCOME_UNKNOWN']).toContain(batch)
        expect(['done', reason]).toContain(sync)
        await wal.sync()
        expect(await dataOf(wal.replay())).toEqual(['one', 'two', 'three'])
      }
    })
  })

  test('one signal shared by many calls has one listener, and none once they are done', async () => {
    const { world, wal, held } = await openHeld()
    const { signal } = new AbortController()
    const calls = range(1, 100).flatMap(() => [
      wal.append('a', { signal }),
      wal.waitForCommit(4, { signal }),
      wal.sync({ signal }),
      wal.drained({ signal }),
    ])
    const cursor = wal.tail({ signal, from: 'end' })
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    world.setDisk('ok')
    await Promise.all([held, ...calls])
    await cursor.return?.()
    await until(() => getEventListeners(signal, 'abort').length === 0)
  })
}

function begun(wal: Wal<string>) {
  const transaction = wal.transaction()
  transaction.append('a')
  return transaction
}
