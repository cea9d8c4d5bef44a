// @ts-check
// What the write cases do inside a fresh process. Each body returns its figures; the child then reads everything back.
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { latencies, turn } from '../lib/measure.mjs'

/** @typedef {import('./index.mjs').Context} Context */

const BURST = 1024
const BURSTS_IN_FLIGHT = 8
const SUBMITS_PER_TURN = 4096

/** One promise per append, all of them awaited, at most 8,192 outstanding. @param {Context} context */
export async function openLoop({ log, payloads, budget }) {
  /** @type {Promise<unknown>[]} */
  const inFlight = []
  let position = 0
  const clock = budget.start()
  while (!clock.over(position)) {
    const burst = new Array(BURST)
    for (let at = 0; at < BURST; at++) burst[at] = log.append(payloads.at(position++))
    inFlight.push(Promise.all(burst))
    if (inFlight.length >= BURSTS_IN_FLIGHT) await inFlight.shift()
  }
  await Promise.all(inFlight)
  return clock.rate(position, payloads.bytes)
}

/** The cheapest way in, one acknowledgement at the end. @param {Context} context */
export async function submit({ log, payloads, budget }) {
  let position = 0
  const clock = budget.start()
  while (!clock.over(position)) {
    for (let at = 0; at < SUBMITS_PER_TURN; at++) {
      const room = log.room?.()
      if (room !== undefined) await room
      log.submit(payloads.at(position++))
      if (payloads.bytes > 4096 && (at & 15) === 15 && clock.over(position)) break
    }
    await turn()
  }
  await log.settle()
  return clock.rate(position, payloads.bytes)
}

/** `writers` loops, each waiting for its append before the next. @param {Context} context */
export async function concurrent({ log, payloads, budget, params }) {
  let position = 0
  /** @type {number[]} */
  const samples = []
  const clock = budget.start()
  const writer = async () => {
    while (!clock.over(position)) {
      const started = performance.now()
      await log.append(payloads.at(position++))
      samples.push(performance.now() - started)
    }
  }
  await Promise.all(Array.from({ length: params.writers }, writer))
  return { ...clock.rate(position, payloads.bytes), ...latencies(samples) }
}

/** Batches of `batch` entries, `inFlight` of them at a time. @param {Context} context */
export async function batches({ log, payloads, budget, params }) {
  let position = 0
  const clock = budget.start()
  const writer = async () => {
    while (!clock.over(position)) {
      const batch = new Array(params.batch)
      for (let at = 0; at < params.batch; at++) batch[at] = payloads.at(position++)
      await log.batch(batch)
    }
  }
  await Promise.all(Array.from({ length: params.inFlight ?? 1 }, writer))
  return clock.rate(position, payloads.bytes)
}

/** Batches at the end of a log that holds `entries` already. @param {Context} context */
export async function growing(context) {
  const { payloads, params } = context
  const before = await context.log.count()
  const beyond = Object.assign(Object.create(payloads), { at: (/** @type {number} */ at) => payloads.at(before + at) })
  if (before < params.entries) throw new Error(`the log holds ${before} entries, ${params.entries} were written`)
  return batches({ ...context, payloads: beyond })
}

/** `pipeline(source, sink)`; a peer without a stream gets one whose writev is one batch. @param {Context} context */
export async function pipe({ log, payloads, budget }) {
  let position = 0
  const clock = budget.start()
  const source = new Readable({
    objectMode: true,
    highWaterMark: BURST,
    read() {
      for (let at = 0; at < BURST; at++) if (!this.push(payloads.at(position++))) break
      if (clock.over(position)) this.push(null)
    },
  })
  await pipeline(source, log.writable?.() ?? batchingWritable(log))
  return clock.rate(position, payloads.bytes)
}

/** @param {any} log */
function batchingWritable(log) {
  const store = async (/** @type {Buffer[]} */ data) => log.batch(data)
  return new Writable({
    objectMode: true,
    highWaterMark: 4 * BURST,
    write: (data, _encoding, done) => void store([data]).then(() => done(), done),
    writev: (chunks, done) => void store(chunks.map(({ chunk }) => chunk)).then(() => done(), done),
  })
}
