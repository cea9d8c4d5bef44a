// 20,000 real flights go through a log: piped in, killed half-way with SIGKILL, recovered, gone on with, read back, compared.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { json, openWal, type RecoveryReport } from 'walrus-wal'
import { DelayTable, type Flight, flightsFile, readFlights } from './flights.js'
import type { WriterReport } from './flights-writer.js'

/** The writer is killed once it has reported this many flights. */
const KILL_AT = 8_000

const say = (text = ''): void => console.log(text)
const whole = (value: number): string => value.toLocaleString('en-US')
const tenths = (value: number): string => value.toFixed(1)

function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(message)
}

/** Starts the writer, watches it, kills it in the middle. Returns the number of flights it had reported as durable. */
async function writeAndKill(directory: string): Promise<number> {
  const writer = fork(fileURLToPath(new URL('flights-writer.js', import.meta.url)), [directory])
  say(`1. Process ${writer.pid} pipes the flights into a log in ${directory}.`)
  say('   A projection beside it follows the log and adds up the delays.')
  let reported = 0
  writer.on('message', ({ flights, averageDelay }: WriterReport) => {
    const line = `   ${whole(flights).padStart(6)} flights durable and counted, ${tenths(averageDelay)} minutes late on average`
    if (Math.floor(flights / 2_000) > Math.floor(reported / 2_000)) say(line)
    reported = flights
    if (flights >= KILL_AT) writer.kill('SIGKILL')
  })
  const [code, signal] = await once(writer, 'exit')
  check(signal === 'SIGKILL', `The writer ended by itself (code ${code}) before it could be killed.`)
  say(`\n2. kill -9 ${writer.pid}: the writer is gone, in the middle of the file.`)
  return reported
}

function inWords({ clean, copiedEntries, cutBytes, cutFromIndex, durationMs }: RecoveryReport): string {
  if (clean) return 'The log had been closed in order.'
  const copied = `${whole(copiedEntries)} whole entries at the end, not yet proven durable, were copied to a new segment`
  const torn = cutFromIndex === undefined ? 'no entry was torn' : `${whole(cutBytes)} bytes were torn and left out`
  return `The log had not been closed: ${copied}; ${torn}. It took ${tenths(durationMs)} ms.`
}

async function* skip<T>(count: number, source: AsyncIterable<T>): AsyncGenerator<T> {
  let left = count
  for await (const one of source) if (left-- <= 0) yield one
}

/** Opens what the killed writer left, goes on where the log ends, and returns the figures that the projection has drawn from it. */
async function recoverAndFinish(directory: string, reported: number): Promise<DelayTable> {
  const wal = await openWal(directory, { encoding: json<Flight>() })
  const resumeAt = wal.lastIndex
  say(`\n3. The log is opened again. ${inWords(wal.recoveryReport)}`)
  say(`   It holds ${whole(resumeAt)} flights; the writer had reported ${whole(reported)}.`)
  check(resumeAt >= reported, `${reported - resumeAt} flights that were reported as durable are lost.`)

  const delays = new DelayTable()
  const consumer = wal.consumer('delays')
  say(
    `\n4. The pipeline goes on with flight ${whole(resumeAt + 1)}. The projection had stored its position, ${whole(consumer.checkpointIndex)};`,
  )
  say('   but its table was in memory and died with the writer, so it is built again from the first entry.')
  consumer.seek('start')
  const projection = consumer.run(flights => {
    for (const { data } of flights) delays.add(data)
  })
  await pipeline(skip(resumeAt, readFlights()), wal.writable())
  await consumer.whenProcessed(wal.lastIndex)
  say(`   ${whole(wal.lastIndex)} flights in ${wal.segments().length} segments, all of them durable and counted.`)
  await wal.close()
  await projection
  return delays
}

function print({ airports }: DelayTable): void {
  const busy = [...airports].filter(([, { flights }]) => flights >= 100)
  const average = ([, { delayMinutes, flights }]: (typeof busy)[number]) => delayMinutes / flights
  const latest = busy.sort((a, b) => average(b) - average(a)).slice(0, 10)
  say('\n5. What the projection knows: the ten airports, of those with 100 flights or more, where one waits longest.\n')
  say('   airport   flights   average delay   longest delay')
  for (const row of latest) {
    const [name, { flights, longestDelay }] = row
    const cells = [
      whole(flights).padStart(10),
      `${tenths(average(row))} min`.padStart(16),
      `${longestDelay} min`.padStart(16),
    ]
    say(`   ${name.padEnd(7)}${cells.join('')}`)
  }
}

/** The same figures without a log: the whole file parsed at once, the rows grouped and added up. */
function compareWithFile({ airports }: DelayTable): void {
  const rows = JSON.parse(readFileSync(flightsFile, 'utf8')) as Flight[]
  const origins = new Set(rows.map(({ origin }) => origin))
  const differing = [...origins].filter(origin => {
    const delays = rows.filter(row => row.origin === origin).map(({ delay }) => delay)
    const seen = airports.get(origin)
    const total = delays.reduce((sum, delay) => sum + delay, 0)
    return seen?.flights !== delays.length || seen.delayMinutes !== total || seen.longestDelay !== Math.max(...delays)
  })
  check(differing.length === 0, `The figures differ from those of the file for ${differing.join(', ')}.`)
  check(airports.size === origins.size, `The projection knows ${airports.size} airports, the file ${origins.size}.`)
  say(
    `\n6. Computed straight from the file, the figures of all ${origins.size} airports are the same. No flight lost, none twice.`,
  )
}

const directory = await mkdtemp(join(tmpdir(), 'walrus-flights-'))
try {
  const reported = await writeAndKill(directory)
  const delays = await recoverAndFinish(directory, reported)
  print(delays)
  compareWithFile(delays)
} finally {
  await rm(directory, { recursive: true })
}
