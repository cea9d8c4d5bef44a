import { describe, expect, it } from 'vitest'
import { RetentionKeeper } from '../../src/log/retention-keeper.js'
import type { Segment } from '../../src/segments/segment.js'
import type { Logger } from '../../src/types.js'
import { ManualClock } from '../helpers/manual-clock.js'
import { turns } from '../helpers/waiting.js'

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

/** A keeper over a chain of segments of ten entries and 100 bytes each. */
function scene({ maxHeldBytes = 1000, holdForConsumers = true, maxSegments = 1 } = {}) {
  const infinite = Number.POSITIVE_INFINITY
  const chain = { segments: [] as Segment[] }
  const clock = new ManualClock()
  const limits = { maxSegments, maxBytes: infinite, maxAgeMs: infinite }
  const keeper = new RetentionKeeper(
    { limits, holdForConsumers, maxHeldBytes, archive: undefined },
    {
      clock,
      logger: silent,
      directory: '/log',
      segments: () => chain.segments,
      remove: choose => {
        const last = choose()
        chain.segments = chain.segments.slice(last === undefined ? 0 : chain.segments.indexOf(last) + 1)
        return Promise.resolve(last !== undefined)
      },
    },
  )
  const grow = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const before = chain.segments.at(-1)
      const lastIndex = (before?.lastIndex ?? 0) + 10
      if (before !== undefined) before.sealed = true
      chain.segments = [...chain.segments, { lastIndex, sealed: false, sealedAt: 0, end: { offset: 100 } } as Segment]
      if (before !== undefined) keeper.sealed(before)
      await turns()
    }
  }
  const kept = () => chain.segments.map(segment => segment.lastIndex)
  return { keeper, clock, grow, kept }
}

describe('a reader that retention waits for', () => {
  it('keeps what it has yet to read, and is told each time that more is kept for it', async () => {
    const { keeper, clock, grow, kept } = scene()
    const told: number[] = []
    let next = 5
    const release = keeper.hold({ heldFrom: () => next, onHeld: ({ heldBytes }) => told.push(heldBytes) })
    await grow(4)
    expect(kept()).toEqual([10, 20, 30, 40])
    expect(told).toEqual([100, 200, 300])
    next = 21
    clock.advance(10_000)
    await turns()
    expect(kept()).toEqual([30, 40])
    release()
    clock.advance(10_000)
    await turns()
    expect(kept()).toEqual([40])
  })

  it('is told before it is overtaken', async () => {
    const { keeper, grow, kept } = scene({ maxHeldBytes: 250 })
    const told: { heldBytes: number; maxHeldBytes: number; oldest: number | undefined }[] = []
    keeper.hold({ heldFrom: () => 1, onHeld: held => told.push({ ...held, oldest: kept()[0] }) })
    await grow(4)
    expect(told.at(-1)).toEqual({ heldBytes: 300, maxHeldBytes: 250, oldest: 10 })
    expect(kept()).toEqual([20, 30, 40])
  })

  it('is waited for as the slowest of many', async () => {
    const { keeper, grow, kept } = scene()
    keeper.hold({ heldFrom: () => 31 })
    keeper.hold({ heldFrom: () => 15 })
    keeper.hold({ heldFrom: () => undefined })
    await grow(4)
    expect(kept()).toEqual([20, 30, 40])
  })

  it('is not waited for where the option says so', async () => {
    const { keeper, grow, kept } = scene({ holdForConsumers: false })
    keeper.hold({ heldFrom: () => 1 })
    await grow(3)
    expect(kept()).toEqual([30])
  })

  it('that throws keeps everything, and is asked again', async () => {
    const { keeper, clock, grow, kept } = scene()
    let broken = true
    keeper.hold({
      heldFrom: () => {
        if (broken) throw new Error('not now')
        return undefined
      },
    })
    await grow(3)
    expect(kept()).toEqual([10, 20, 30])
    broken = false
    clock.advance(10_000)
    await turns()
    expect(kept()).toEqual([30])
  })
})

describe('a pin', () => {
  it('is never overtaken, and looked after at once when it goes', async () => {
    const { keeper, grow, kept } = scene({ maxHeldBytes: 0 })
    const unpin = keeper.pin(12)
    await grow(4)
    expect(kept()).toEqual([20, 30, 40])
    unpin()
    await turns()
    expect(kept()).toEqual([40])
  })
})
