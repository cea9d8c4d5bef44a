import { openWal } from 'walrus-wal'
import type { Deeds } from './ledger.js'
import { type Place, placeOf } from './payload.js'

export interface Verified {
  firstIndex: number
  lastIndex: number
  /** Entries that were read and compared. */
  entries: number
  /** The open had to recover. */
  recovered: boolean
}

/** Opens the log as the next process would (a writer killed early may not even have created it), and compares every entry with what the writers noted. Throws what is wrong. */
export async function verifyLog(
  directory: string,
  seed: number,
  rounds: ReadonlyMap<number, Deeds>,
  format: 'binary' | 'ndjson' = 'binary',
): Promise<Verified> {
  await using wal = await openWal(directory, { format })
  const { firstIndex, lastIndex, recoveryReport } = wal
  assertNothingLost(rounds, firstIndex, lastIndex)
  let next = firstIndex
  let before: Place | undefined
  for await (const { index, data } of wal.replay()) {
    const place = placeOf(data)
    if (index !== next) throw new Error(`entry ${next} is missing: ${index} follows`)
    if (place === undefined)
      throw new Error(`entry ${index} is not what was written: ${data.toString('latin1', 0, 60)}`)
    if (place.seed !== seed || place.index !== index) throw new Error(`entry ${index} was written as ${place.index}`)
    assertWritten(place, rounds)
    assertWholeBatch(place, before, lastIndex)
    before = place
    next++
  }
  if (next !== lastIndex + 1) throw new Error(`the log ends at ${next - 1} and says ${lastIndex}`)
  return { firstIndex, lastIndex, entries: next - firstIndex, recovered: !recoveryReport.clean }
}

function assertNothingLost(rounds: ReadonlyMap<number, Deeds>, firstIndex: number, lastIndex: number): void {
  const highest = (kind: keyof Deeds) => Math.max(0, ...[...rounds.values()].map(deeds => deeds[kind]))
  const acknowledged = highest('acknowledged')
  if (lastIndex < acknowledged) throw new Error(`the log ends at ${lastIndex}; ${acknowledged} had been acknowledged`)
  const cut = Math.max(1, highest('cut'))
  const cutting = Math.max(1, highest('cutting'))
  if (firstIndex < cut || firstIndex > cutting) {
    throw new Error(`the log begins at ${firstIndex}; it was cut at ${cut}, and asked for ${cutting}`)
  }
}

/** An entry stands where its round tried to write it, and no later round took it for granted that the place was empty. */
function assertWritten({ round, index }: Place, rounds: ReadonlyMap<number, Deeds>): void {
  const deeds = rounds.get(round)
  if (deeds === undefined || index <= deeds.opened || index > deeds.attempted) {
    throw new Error(`entry ${index} was never written in round ${round}: ${JSON.stringify(deeds)}`)
  }
  for (const [other, { opened, acknowledged }] of rounds) {
    const replaced = other > round && index > opened && index <= acknowledged
    const lost = other < round && index <= acknowledged
    if (replaced || lost) throw new Error(`entry ${index} is of round ${round}; round ${other} had it acknowledged`)
  }
}

/** Either the entry goes on with the batch of the one before, or that one was complete and this one begins its own. */
function assertWholeBatch(place: Place, before: Place | undefined, lastIndex: number): void {
  const batchLast = lastOf(place)
  if (batchLast > lastIndex) throw new Error(`the batch ${place.batchFirst}-${batchLast} ends at ${lastIndex}`)
  // The front may be cut within a batch.
  if (before === undefined) return
  const isOpen = before.index < lastOf(before)
  const same = place.round === before.round && place.batchFirst === before.batchFirst && batchLast === lastOf(before)
  if (isOpen && !same) throw new Error(`the batch ${before.batchFirst}-${lastOf(before)} stops at ${before.index}`)
  if (!isOpen && place.batchFirst !== place.index) {
    throw new Error(`the batch ${place.batchFirst}-${batchLast} begins at ${place.index}`)
  }
}

function lastOf({ batchFirst, batchCount }: Place): number {
  return batchFirst + batchCount - 1
}
