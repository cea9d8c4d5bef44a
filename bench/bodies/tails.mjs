// @ts-check
// Live readers beside a writer. walrus-wal has tails; the databases get what a user would write: after each
// acknowledgement every reader is told, and reads the new range from the database.
import { EventEmitter, once } from 'node:events'
import { latencies } from '../lib/measure.mjs'

/** @typedef {import('./index.mjs').Context} Context */

const BURST = 1024
const BURSTS_IN_FLIGHT = 8

/** Appends, or stores batches, while `tails` readers follow; ends when all have seen all. @param {Context} context */
export async function tails({ log, payloads, budget, params }) {
  const crowd = follow(log, params.tails, () => {})
  let position = 0
  const inFlight = []
  const clock = budget.start()
  while (!clock.over(position)) {
    const burst = new Array(BURST)
    for (let at = 0; at < BURST; at++) burst[at] = payloads.at(position++)
    const end = position
    inFlight.push(store(log, burst, params.by).then(() => crowd.acknowledged(end)))
    if (inFlight.length >= BURSTS_IN_FLIGHT) await inFlight.shift()
  }
  await Promise.all(inFlight)
  const written = clock.rate(position, payloads.bytes)
  await crowd.caughtUp(position)
  const delivered = clock.rate(position * params.tails, payloads.bytes)
  await crowd.stop()
  return { ...written, deliveredPerSecond: delivered.perSecond }
}

/** @param {any} log @param {Buffer[]} burst @param {'append' | 'batch'} by */
async function store(log, burst, by) {
  await (by === 'batch' ? log.batch(burst) : Promise.all(burst.map(data => log.append(data))))
}

/** Time from the acknowledgement of a lone append to its delivery to each of `tails` readers. @param {Context} context */
export async function delivery({ log, payloads, budget, params }) {
  /** @type {number[]} */
  const delivered = []
  const crowd = follow(log, params.tails, () => delivered.push(performance.now()))
  /** @type {number[]} */
  const samples = []
  let position = 0
  const clock = budget.start()
  while (!clock.over(position)) {
    delivered.length = 0
    await log.append(payloads.at(position++))
    const acknowledged = performance.now()
    crowd.acknowledged(position)
    await crowd.caughtUp(position)
    for (const time of delivered) samples.push(time - acknowledged)
  }
  await crowd.stop()
  return { ...clock.rate(position, payloads.bytes), ...latencies(samples) }
}

/** @param {any} log @param {number} count @param {() => void} onDelivery */
function follow(log, count, onDelivery) {
  const bell = new EventEmitter().setMaxListeners(0)
  let target = 0
  const stopping = new AbortController()
  const seen = new Array(count).fill(0)
  const start = log.tail ? ownTail : pollingTail
  const running = seen.map((_, reader) =>
    start(log, bell, stopping.signal, () => {
      seen[reader]++
      onDelivery()
      if (seen[reader] === target) bell.emit('progress')
    }),
  )
  return {
    acknowledged: (/** @type {number} */ end) => bell.emit('acknowledged', end),
    caughtUp: async (/** @type {number} */ end) => {
      target = end
      while (seen.some(entries => entries < end)) await once(bell, 'progress')
    },
    stop: async () => {
      stopping.abort()
      bell.emit('acknowledged', 0)
      await Promise.all(running)
    },
  }
}

/** @param {any} log @param {EventEmitter} _bell @param {AbortSignal} signal @param {() => void} visit */
async function ownTail(log, _bell, signal, visit) {
  try {
    await log.tail(visit, signal)
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** @param {any} log @param {EventEmitter} bell @param {AbortSignal} signal @param {() => void} visit */
async function pollingTail(log, bell, signal, visit) {
  let [position, end] = [0, 0]
  /** @type {() => void} */
  let wake = () => {}
  bell.on('acknowledged', to => {
    end = Math.max(end, to)
    wake()
  })
  while (!signal.aborted) {
    if (position < end) {
      const to = end
      await log.range(position, to, visit)
      position = to
    } else {
      await new Promise(resolve => {
        wake = () => resolve(undefined)
      })
    }
  }
}
