import { describe, expect, it } from 'vitest'
import type { Wal } from '../../src/types.js'
import { until, walError } from '../helpers/waiting.js'
import { fill, open, range, runUntil } from './scene.js'

/** Two segments are kept, of one entry each. */
const retention = { maxSegments: 2 }
const small = { segmentMaxBytes: 1 }

/** Appends one entry after the other until retention has removed the first `index`. */
async function fillUntilGone(wal: Wal<string>, index: number): Promise<void> {
  while (wal.firstIndex <= index) {
    await fill(wal, 1)
    if (wal.lastIndex > index + 1000) throw new Error(`entry ${index} stays`)
  }
}

describe('retention', () => {
  it('waits for what a consumer has not checkpointed, and tells it', async () => {
    const { wal } = await open({ ...small, retention })
    const consumer = wal.consumer('slow')
    const held: number[] = []
    consumer.on('held', ({ heldBytes, maxHeldBytes }) => held.push(heldBytes / maxHeldBytes))
    await fill(wal, 3)
    await consumer.checkpoint(2)
    await fill(wal, 10)
    await until(() => held.length > 0)
    expect(held.every(share => share > 0 && share < 1)).toBe(true)
    expect(wal.firstIndex).toBeLessThanOrEqual(3)
    expect(await runUntil(consumer, 13)).toEqual(range(3, 13))
    await fillUntilGone(wal, 12)
    await wal.close()
  })

  it('overtakes one that holds too much: told before, and the missing range by the next read', async () => {
    const { wal } = await open({ ...small, retention: { ...retention, maxHeldBytes: 50_000 } })
    const consumer = wal.consumer('slow')
    let warned = 0
    consumer.on('held', ({ heldBytes, maxHeldBytes }) => {
      if (heldBytes > maxHeldBytes) warned++
    })
    await fill(wal, 2)
    await consumer.checkpoint(1)
    await fillUntilGone(wal, 5)
    await until(() => warned > 0)
    const { firstIndex } = wal
    const error = await walError(consumer.chunks().next(), 'WAL_TRUNCATED')
    expect(error).toMatchObject({ lost: 'before', firstIndex: 2, lastIndex: firstIndex - 1 })
    await wal.close()
  })

  it('does not wait for one that is closed, or that begins later', async () => {
    const { wal } = await open({ ...small, retention })
    await fill(wal, 3)
    wal.consumer('late', { from: 'end' })
    const closed = wal.consumer('closed')
    await closed.checkpoint(1)
    await closed.close()
    await fillUntilGone(wal, 3)
    expect(wal.consumers()).toMatchObject([{ name: 'closed', checkpointIndex: 1 }, { name: 'late' }])
    await wal.close()
  })
})
