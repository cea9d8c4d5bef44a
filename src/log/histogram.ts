import type { Histogram } from '../types.js'

/** Eight buckets per doubling: quantiles are exact to 9 %. */
const BUCKETS_PER_DOUBLING = 8
/** From 2^-10 (a microsecond, in milliseconds) to 2^30. */
const LOWEST_EXPONENT = -10
const BUCKETS = (30 - LOWEST_EXPONENT) * BUCKETS_PER_DOUBLING

/** Counts values in logarithmic buckets: constant memory, a few nanoseconds per value. */
export class HistogramRecorder {
  readonly #buckets = new Float64Array(BUCKETS)
  #count = 0
  #sum = 0
  #min = Infinity
  #max = 0

  record(value: number): void {
    this.#count++
    this.#sum += value
    if (value < this.#min) this.#min = value
    if (value > this.#max) this.#max = value
    this.#buckets[bucketOf(value)]!++
  }

  /** What was recorded so far; all zero when nothing was. */
  snapshot(): Histogram {
    if (this.#count === 0) return { count: 0, min: 0, mean: 0, p50: 0, p99: 0, max: 0 }
    const mean = this.#sum / this.#count
    return {
      count: this.#count,
      min: this.#min,
      mean,
      p50: this.#quantile(0.5),
      p99: this.#quantile(0.99),
      max: this.#max,
    }
  }

  #quantile(q: number): number {
    let left = Math.ceil(this.#count * q)
    for (let i = 0; i < BUCKETS; i++) {
      left -= this.#buckets[i]!
      if (left <= 0) return Math.min(this.#max, Math.max(this.#min, upperBound(i)))
    }
    return this.#max
  }
}

function bucketOf(value: number): number {
  if (value <= 0) return 0
  const bucket = Math.ceil((Math.log2(value) - LOWEST_EXPONENT) * BUCKETS_PER_DOUBLING)
  return Math.min(BUCKETS - 1, Math.max(0, bucket))
}

function upperBound(bucket: number): number {
  return 2 ** (bucket / BUCKETS_PER_DOUBLING + LOWEST_EXPONENT)
}
