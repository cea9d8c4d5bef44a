// What both processes of 01-flights.ts use: the flights as a stream, and the figures drawn from them.
import { createReadStream } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface Flight {
  date: string
  /** Minutes; negative for a flight that was early. */
  delay: number
  /** Miles. */
  distance: number
  origin: string
  destination: string
}

/** 20,000 flights of the year 2001, one JSON array. */
export const flightsFile = fileURLToPath(new URL('../data/flights-20k.json', import.meta.resolve('vega-datasets')))

const nextObject = /[\s,[]*(\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\})/y

/** Reads the file piece by piece and hands out each flight as soon as its text is complete. */
export async function* readFlights(): AsyncGenerator<Flight> {
  let text = ''
  for await (const piece of createReadStream(flightsFile, 'utf8')) {
    text += piece
    let end = 0
    nextObject.lastIndex = 0
    for (let found = nextObject.exec(text); found; found = nextObject.exec(text)) {
      yield JSON.parse(found[1]!) as Flight
      end = nextObject.lastIndex
    }
    text = text.slice(end)
  }
  if (text.trim() !== ']') throw new Error(`${flightsFile} is not an array of flat objects: ${text.slice(0, 80)}`)
}

export interface AirportDelays {
  flights: number
  delayMinutes: number
  longestDelay: number
}

/** The read model: delays by airport of departure. */
export class DelayTable {
  readonly airports = new Map<string, AirportDelays>()
  flights = 0
  #delayMinutes = 0

  add({ origin, delay }: Flight): void {
    const airport = this.airports.get(origin) ?? { flights: 0, delayMinutes: 0, longestDelay: -Infinity }
    airport.flights++
    airport.delayMinutes += delay
    airport.longestDelay = Math.max(airport.longestDelay, delay)
    this.airports.set(origin, airport)
    this.flights++
    this.#delayMinutes += delay
  }

  get averageDelay(): number {
    return this.#delayMinutes / this.flights
  }
}
