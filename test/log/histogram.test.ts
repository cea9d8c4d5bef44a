import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HistogramRecorder } from '../../src/log/histogram.js'

function record(values: readonly number[]) {
  const recorder = new HistogramRecorder()
  for (const value of values) recorder.record(value)
  return recorder.snapshot()
}

test('of nothing all is zero', () => {
  expect(record([])).toEqual({ count: 0, min: 0, mean: 0, p50: 0, p99: 0, max: 0 })
})

test('of one value all is that value', () => {
  for (const value of [0, 0.001, 1, 7, 1e9]) {
    expect(record([value])).toEqual({ count: 1, min: value, mean: value, p50: value, p99: value, max: value })
  }
})

test('count, least, greatest and mean are exact; quantiles to 10 %, within the range', () => {
  const value = fc.double({ min: 0.002, max: 1e8, noNaN: true })
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 300 }), values => {
      const sorted = [...values].sort((a, b) => a - b)
      const { count, min, max, mean, p50, p99 } = record(values)
      expect([count, min, max]).toEqual([values.length, sorted[0], sorted.at(-1)])
      expect(mean).toBeCloseTo(values.reduce((sum, one) => sum + one, 0) / values.length, 3)
      for (const [q, found] of [
        [0.5, p50],
        [0.99, p99],
      ] as const) {
        const exact = sorted[Math.ceil(values.length * q) - 1] ?? 0
        expect(found).toBeGreaterThanOrEqual(Math.max(min, exact))
        expect(found).toBeLessThanOrEqual(Math.min(max, exact * 1.1))
      }
    }),
  )
})

test('values beyond its range count in the outermost buckets', () => {
  expect(record([-1, 0, 1e-9, 1e30])).toMatchObject({ count: 4, min: -1, max: 1e30 })
})
