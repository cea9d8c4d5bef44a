import { randomBytes } from 'node:crypto'
import type { Epoch } from '../codec/format.js'

/** The epoch that follows the known ones, oldest first; its first entry gets `startIndex`. */
export function nextEpoch(known: readonly Epoch[], startIndex: number): Epoch {
  return { counter: known.at(-1)!.counter + 1, id: randomBytes(8).toString('hex'), startIndex }
}
