// @ts-check
// Making logs for other bodies to read, opening them, and what they take of memory and of a busy thread pool.
import { pbkdf2 } from 'node:crypto'
import { latencies, pause } from '../lib/measure.mjs'
import { pipe } from './writing.mjs'

/** @typedef {import('./index.mjs').Context} Context */

const FILL_BATCH = 1000
const CRYPTO_JOBS = 8

/** Writes `entries` entries in batches; with `entriesPerSegment` each batch is a segment. @param {Context} context */
export async function fill({ log, payloads, params }) {
  const size = params.entriesPerSegment ?? FILL_BATCH
  for (let position = 0; position < params.entries; ) {
    const batch = []
    while (batch.length < size && position < params.entries) batch.push(payloads.at(position++))
    await log.batch(batch)
    if (params.entriesPerSegment) await log.rotate()
  }
  return { count: params.entries }
}

/** Fills the log and is killed while appending, as by a crash of the process. @param {Context} context */
export async function crash(context) {
  await fill(context)
  const { log, payloads, params, announce } = context
  for (let position = params.entries; position < params.entries + FILL_BATCH; position++) {
    void log.append(payloads.at(position))
  }
  await announce({ count: params.entries })
  process.kill(process.pid, 'SIGKILL')
  await pause(10_000)
}

/** Opening is all that is timed, up to knowing how many entries there are. @param {Context} context */
export async function reopen({ reopenLog, params }) {
  const started = performance.now()
  const log = await reopenLog()
  const entries = await log.count()
  const openMs = performance.now() - started
  if (!(entries >= params.entries))
    throw new Error(`${entries} entries after reopening, ${params.entries} were acknowledged`)
  const loadedAt = performance.now()
  await log.close()
  return { openMs, closeMs: performance.now() - loadedAt, count: entries }
}

/** Latency of single appends, idle and with crypto jobs queued in the libuv pool. @param {Context} context */
export async function busyPool({ log, payloads, budget }) {
  let position = 0
  const measure = async () => {
    /** @type {number[]} */
    const samples = []
    const clock = budget.start()
    while (!clock.over(samples.length)) {
      const started = performance.now()
      await log.append(payloads.at(position++))
      samples.push(performance.now() - started)
    }
    return latencies(samples)
  }
  await measure()
  const idle = await measure()
  const stop = occupyPool()
  await pause(100)
  const busy = await measure()
  await stop()
  return { idleP50: idle.p50, busyP50: busy.p50, busyP99: busy.p99, ratio: busy.p50 / idle.p50, count: position }
}

/** Keeps eight key derivations going; returns a function that ends them. */
function occupyPool() {
  let stopped = false
  const loops = Array.from({ length: CRYPTO_JOBS }, async () => {
    while (!stopped) await new Promise(resolve => pbkdf2('a', 'b', 20_000, 32, 'sha256', resolve))
  })
  return async () => {
    stopped = true
    await Promise.all(loops)
  }
}

/** Pipes the data in and reads them back with `tails` live readers open; peak memory. @param {Context} context */
export async function memoryUnderLoad(context) {
  const { log, payloads, params } = context
  const stopping = new AbortController()
  let delivered = 0
  const readers = Array.from({ length: log.tail ? params.tails : 0 }, () =>
    log.tail(() => delivered++, stopping.signal).catch(ignoreAbort(stopping.signal)),
  )
  const written = await pipe(context)
  const rssAfterWriting = process.memoryUsage.rss()
  let read = 0
  if (log.scan) await log.scan((/** @type {Uint8Array} */ data) => payloads.assertIs(read++, data), written.count)
  const rssAfterReading = process.memoryUsage.rss()
  stopping.abort()
  await Promise.all(readers)
  const peak = process.resourceUsage().maxRSS / 1024
  return {
    count: written.count,
    peakMb: peak,
    afterWritingMb: mb(rssAfterWriting),
    afterReadingMb: mb(rssAfterReading),
    delivered,
  }
}

/** @param {AbortSignal} signal */
function ignoreAbort(signal) {
  return (/** @type {unknown} */ error) => {
    if (!signal.aborted) throw error
  }
}

/** An open, empty log, after garbage collection. `peer: none` is Node itself. */
export async function memoryWhenEmpty() {
  await pause(300)
  globalThis.gc?.()
  await pause(100)
  return { rssMb: mb(process.memoryUsage.rss()), count: 0 }
}

/** @param {number} bytes */
function mb(bytes) {
  return bytes / 1024 / 1024
}
