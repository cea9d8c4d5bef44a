// The writer of 01-flights.ts, a process of its own: it is going to be killed.
import { pipeline } from 'node:stream/promises'
import { setTimeout } from 'node:timers/promises'
import { json, openWal } from 'walrus-wal'
import { DelayTable, type Flight, readFlights } from './flights.js'

/** What the writer tells its parent. */
export interface WriterReport {
  /** Flights that are on stable storage and counted by the projection. */
  flights: number
  averageDelay: number
}

/** Flights arrive as from a live feed, some 12 a millisecond, so that there is time to watch, and to kill. */
async function* asLiveFeed(flights: AsyncIterable<Flight>): AsyncGenerator<Flight> {
  let count = 0
  for await (const flight of flights) {
    yield flight
    if (++count % 25 === 0) await setTimeout(2)
  }
}

const [directory] = process.argv.slice(2)
const wal = await openWal(directory!, { encoding: json<Flight>(), segmentMaxBytes: 256 * 1024 })

/** The projection follows the log, not the source: it sees what is on stable storage, and nothing else. */
const delays = new DelayTable()
const projection = wal.consumer('delays').run(flights => {
  for (const { data } of flights) delays.add(data)
  const report: WriterReport = { flights: delays.flights, averageDelay: delays.averageDelay }
  process.send!(report)
})

await pipeline(readFlights, asLiveFeed, wal.writable())
await wal.close()
await projection
