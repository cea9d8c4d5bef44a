// @ts-check
// What the read cases do with a log of `entries` entries that another process wrote and closed.
import { randomPositions } from '../lib/measure.mjs'

/** @typedef {import('./index.mjs').Context} Context */

const GETS_PER_CLOCK = 256
/** Fewer entries than a segment holds. */
const WARM_STEP = 50_000

/** Reads the log from its start, again and again. `way` is `scan` or `scanChunks`. @param {Context} context */
export async function replay({ log, payloads, budget, params }) {
  let entries = 0
  let touched = 0
  let clock = budget.start()
  const visit = (/** @type {Uint8Array} */ data) => {
    entries++
    touched += /** @type {number} */ (data[8])
  }
  const limit = params.limit ?? params.entries
  await log[params.way](visit, Math.min(limit, 50_000))
  for (entries = 0, clock = budget.start(); !clock.over(entries); ) await log[params.way](visit, limit)
  if (entries % limit !== 0) throw new Error(`a replay of ${limit} entries handed out ${entries % limit} too few`)
  return { ...clock.rate(entries, payloads.bytes), touched }
}

/** One random entry after the other; each is compared with what was written. @param {Context} context */
export async function get({ log, payloads, budget, params }) {
  const next = randomPositions(params.entries)
  const read = log[params.way]
  const isAsync = params.way === 'get'
  const run = async (/** @type {ReturnType<typeof budget.start>} */ clock) => {
    let done = 0
    while (!clock.over(done)) {
      for (let at = 0; at < GETS_PER_CLOCK; at++) {
        const position = next()
        const data = isAsync ? await read(position) : read(position)
        if (data.readUInt32LE(0) !== (position & payloads.mask)) payloads.assertIs(position, data)
      }
      done += GETS_PER_CLOCK
    }
    return clock.rate(done, payloads.bytes)
  }
  // Warm means every part of the log: walrus-wal reads a segment through for the first get in it, and keeps where its entries lie.
  for (let position = 0; position < params.entries; position += WARM_STEP) await read(position)
  await run(budget.part(0.3).start())
  return run(budget.start())
}
