import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decideRetention, heldBytesOf, type RetentionSituation } from '../../src/segments/retention.js'

interface Scene {
  lastIndex: number
  sealed: boolean
  end: { offset: number }
  age: number
}

const NONE = Number.POSITIVE_INFINITY

/** Segments of ten entries and 100 bytes each, the oldest first, each a minute older than the next; the last one is active. */
function segments(count: number): Scene[] {
  return Array.from({ length: count }, (_, i) => ({
    lastIndex: (i + 1) * 10,
    sealed: i < count - 1,
    end: { offset: 100 },
    age: (count - 1 - i) * 60_000,
  }))
}

function decide(given: Partial<RetentionSituation<Scene>> & Partial<RetentionSituation<Scene>['limits']>) {
  const { maxSegments = NONE, maxBytes = NONE, maxAgeMs = NONE, ...rest } = given
  const { remove, heldBytes } = decideRetention({
    segments: segments(5),
    limits: { maxSegments, maxBytes, maxAgeMs },
    ageOf: segment => segment.age,
    heldFrom: NONE,
    maxHeldBytes: 0,
    pinnedFrom: NONE,
    ...rest,
  })
  return { upTo: remove.at(-1)?.lastIndex ?? 0, heldBytes }
}

describe('retention', () => {
  it('keeps everything without a limit', () => {
    expect(decide({})).toEqual({ upTo: 0, heldBytes: 0 })
  })

  it('keeps as many segments as asked, the active one counted', () => {
    expect(decide({ maxSegments: 5 }).upTo).toBe(0)
    expect(decide({ maxSegments: 3 }).upTo).toBe(20)
    expect(decide({ maxSegments: 1 }).upTo).toBe(40)
  })

  it('keeps as many bytes as asked', () => {
    expect(decide({ maxBytes: 500 }).upTo).toBe(0)
    expect(decide({ maxBytes: 499 }).upTo).toBe(10)
    expect(decide({ maxBytes: 1 }).upTo).toBe(40)
  })

  it('keeps what is young enough', () => {
    expect(decide({ maxAgeMs: 120_000 }).upTo).toBe(20)
    expect(decide({ maxAgeMs: 240_000 }).upTo).toBe(0)
  })

  it('removes nothing by age while no clock can say it, and by the other limits as ever', () => {
    expect(decide({ maxAgeMs: 1, ageOf: () => undefined }).upTo).toBe(0)
    expect(decide({ maxAgeMs: 1, maxSegments: 4, ageOf: () => undefined }).upTo).toBe(10)
  })

  it('stops at the first segment that may stay, so that what is left has no hole', () => {
    const ages = [0, 300_000, 300_000, 300_000, 300_000]
    const scene = segments(5).map((segment, i) => ({ ...segment, age: ages[i] as number }))
    expect(decide({ segments: scene, maxAgeMs: 60_000 }).upTo).toBe(0)
  })

  it('keeps what a consumer has yet to read', () => {
    expect(decide({ maxSegments: 1, heldFrom: 21, maxHeldBytes: 1000 })).toEqual({ upTo: 20, heldBytes: 200 })
    expect(decide({ maxSegments: 1, heldFrom: 20, maxHeldBytes: 1000 })).toEqual({ upTo: 10, heldBytes: 300 })
  })

  it('overtakes a consumer as far as it must', () => {
    expect(decide({ maxSegments: 1, heldFrom: 11, maxHeldBytes: 299 })).toEqual({ upTo: 20, heldBytes: 300 })
    expect(decide({ maxSegments: 1, heldFrom: 11, maxHeldBytes: 0 })).toEqual({ upTo: 40, heldBytes: 300 })
  })

  it('never overtakes a backup', () => {
    expect(decide({ maxSegments: 1, pinnedFrom: 15 }).upTo).toBe(10)
  })

  it('never removes the active segment, and always a beginning of the chain', () => {
    const number = fc.integer({ min: 0, max: 60 })
    const limit = fc.oneof(fc.integer({ min: 1, max: 700 }), fc.constant(NONE))
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        limit,
        limit,
        limit,
        number,
        number,
        fc.integer({ max: 700 }),
        (count, ...drawn) => {
          const [maxSegments, maxBytes, maxAgeMs, heldFrom, pinnedFrom, maxHeldBytes] = drawn
          const chain = segments(count)
          const limits = { maxSegments, maxBytes, maxAgeMs }
          const ageOf = (segment: Scene) => segment.age
          const { remove } = decideRetention({ segments: chain, limits, ageOf, heldFrom, maxHeldBytes, pinnedFrom })
          expect(chain.slice(0, remove.length)).toEqual(remove)
          expect(remove.every(segment => segment.sealed && segment.lastIndex < pinnedFrom)).toBe(true)
          const given = remove.filter(segment => segment.lastIndex >= heldFrom)
          const before = heldBytesOf(
            chain.filter(({ sealed }) => sealed),
            heldFrom,
          )
          if (given.length > 0) expect(before).toBeGreaterThan(maxHeldBytes)
        },
      ),
      { seed: 20261122 },
    )
  })
})
