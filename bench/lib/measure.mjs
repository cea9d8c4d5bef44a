// @ts-check
// Sums over samples. A benchmark here reports medians and the spread around them, never a mean or a best case.

/**
 * @param {ArrayLike<number>} samples
 * @param {number} fraction between 0 and 1
 */
export function percentile(samples, fraction) {
  if (samples.length === 0) return Number.NaN
  const sorted = Float64Array.from(samples).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN
}

/** @param {ArrayLike<number>} samples */
export function median(samples) {
  if (samples.length === 0) return Number.NaN
  const sorted = Float64Array.from(samples).sort()
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** Latencies in microseconds, from samples in milliseconds. @param {ArrayLike<number>} milliseconds */
export function latencies(milliseconds) {
  return {
    p50: percentile(milliseconds, 0.5) * 1000,
    p99: percentile(milliseconds, 0.99) * 1000,
    samples: milliseconds.length,
  }
}

/** One turn of the event loop, so that commits in flight can be acknowledged. */
export function turn() {
  return new Promise(resolve => setImmediate(resolve))
}

/** @param {number} milliseconds */
export function pause(milliseconds) {
  return new Promise(resolve => setTimeout(resolve, milliseconds))
}

/** A cheap, repeatable source of positions below `count`. @param {number} count */
export function randomPositions(count) {
  let state = 0x9e3779b9
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % count
  }
}
