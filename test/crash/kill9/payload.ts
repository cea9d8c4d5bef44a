import { randomFrom } from './random.js'

/** Where an entry stands, as its payload says. */
export interface Place {
  seed: number
  /** The round in which it was written. */
  round: number
  index: number
  /** The batch it belongs to; an entry on its own is a batch of one. */
  batchFirst: number
  batchCount: number
}

const FILLING = Buffer.from(Array.from({ length: 1 << 16 }, (_, i) => 33 + ((i * 7919) % 94)))

/** The payload of an entry: its place, and a filling whose length and text follow from it. A few are larger than a segment, some are JSON. */
export function payloadOf(place: Place): Buffer {
  const { seed, round, index, batchFirst, batchCount } = place
  const random = randomFrom(seed, round, index)
  const length = random() < 0.01 ? Math.floor(random() * 30_000) : Math.floor(random() * random() * 900)
  const start = Math.floor(random() * (FILLING.length - length))
  const text = `${seed} ${round} ${index} ${batchFirst} ${batchCount} ${FILLING.toString('latin1', start, start + length)}`
  return Buffer.from(random() < 0.4 ? JSON.stringify(text) : text)
}

/** The place that a payload claims, if it is exactly what was written there. */
export function placeOf(payload: Buffer): Place | undefined {
  const words = payload.toString('latin1', 0, 100).replace('"', '').split(' ', 5).map(Number)
  const [seed = NaN, round = NaN, index = NaN, batchFirst = NaN, batchCount = NaN] = words
  const place = { seed, round, index, batchFirst, batchCount }
  return payloadOf(place).equals(payload) ? place : undefined
}
