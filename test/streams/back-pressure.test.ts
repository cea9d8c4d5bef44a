import { concatMap, finalize, take, tap } from 'rxjs'
import { describe, expect, it } from 'vitest'
import { observe } from '../../src/rxjs.js'
import { open } from '../consumers/scene.js'
import { turns, until } from '../helpers/waiting.js'

const ENTRIES = 20_000
const HANDLED = 50

/** Work that takes its time. */
async function slowly(): Promise<void> {
  await turns(2)
}

async function manyEntries() {
  const { wal } = await open()
  await wal.appendBatch(Array.from({ length: ENTRIES }, (_, i) => `entry ${i}`))
  return wal
}

describe('work that is slower than the log', () => {
  it('as `project` gets the next entry when it has a slot for it', async () => {
    const wal = await manyEntries()
    let begun = 0
    let done = 0
    let ended = false
    const project = async () => {
      begun++
      expect(begun - done).toBeLessThanOrEqual(3)
      await slowly()
      done++
    }
    observe(wal, { project, concurrency: 3 })
      .pipe(
        take(HANDLED),
        finalize(() => {
          ended = true
        }),
      )
      .subscribe()
    await until(() => ended)
    expect(begun).toBeLessThanOrEqual(HANDLED + 3)
    await until(() => wal.stats().cursors === 0)
    await wal.close()
  })

  it('behind a plain concatMap queues without bound, as the documentation warns', async () => {
    const wal = await manyEntries()
    let emitted = 0
    let done = 0
    const subscription = observe(wal)
      .pipe(
        tap(() => emitted++),
        concatMap(async () => {
          await slowly()
          done++
        }),
      )
      .subscribe()
    await until(() => done >= HANDLED)
    expect(emitted - done).toBeGreaterThan(HANDLED * 10)
    subscription.unsubscribe()
    await until(() => wal.stats().cursors === 0)
    await wal.close()
  })
})
