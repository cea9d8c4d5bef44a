// A live dashboard: a server sends what is appended to a log as server-sent events, one tail cursor for each client. A client that
// comes back says what it saw last, and misses nothing.
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { json, openWal, type Wal } from 'walrus-wal'

type Reading = { sensor: string; celsius: number }

const READINGS = 300

const say = (text = ''): void => console.log(text)

function check(holds: boolean, message: string): void {
  if (!holds) throw new Error(message)
}

/** Sends entries as they are committed. A client that reads slowly holds up its own cursor, never the log. */
async function sendFeed(wal: Wal<Reading>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  response.flushHeaders()
  const seen = Number(request.headers['last-event-id'] ?? 0)
  try {
    for await (const { index, data } of wal.tail({ from: seen + 1, signal: gone.signal })) {
      const mayGoOn = response.write(`id: ${index}\ndata: ${JSON.stringify(data)}\n\n`)
      if (!mayGoOn) await once(response, 'drain', { signal: gone.signal })
    }
    response.end() // The log was closed.
  } catch (error) {
    if (!gone.signal.aborted) response.destroy(error as Error)
  }
}

/** A browser's EventSource in short: gives the events of the feed, from the one after `lastEventId` on, until it is left. */
async function* listen(url: string, lastEventId: number): AsyncGenerator<{ id: number; reading: Reading }> {
  const leave = new AbortController()
  const response = await fetch(url, { headers: { 'last-event-id': String(lastEventId) }, signal: leave.signal })
  let text = ''
  try {
    for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += part
      const events = text.split('\n\n')
      text = events.pop() ?? ''
      for (const event of events) {
        const [id, data] = event.split('\n').map(line => line.slice(line.indexOf(':') + 2))
        yield { id: Number(id), reading: JSON.parse(data ?? '') as Reading }
      }
    }
  } finally {
    leave.abort()
  }
}

/** The dashboard: the latest reading of each sensor. Hangs up after every `patience` events and connects again. */
async function dashboard(url: string, patience: number): Promise<{ ids: number[]; latest: Map<string, number> }> {
  const ids: number[] = []
  const latest = new Map<string, number>()
  while (ids.length < READINGS) {
    let left = patience
    for await (const { id, reading } of listen(url, ids.at(-1) ?? 0)) {
      ids.push(id)
      latest.set(reading.sensor, reading.celsius)
      if (--left === 0 || ids.length === READINGS) break
    }
  }
  return { ids, latest }
}

async function close(server: Server): Promise<void> {
  server.close()
  server.closeAllConnections()
  await once(server, 'close')
}

const directory = await mkdtemp(join(tmpdir(), 'walrus-feed-'))
try {
  const wal = await openWal(directory, { encoding: json<Reading>() })
  const server = createServer((request, response) => void sendFeed(wal, request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/feed`
  say('1. The feed is served; nothing is in the log yet.')

  const steady = dashboard(url, Infinity)
  const shaky = dashboard(url, 40)
  const sensors = ['roof', 'cellar', 'attic']
  for (let i = 0; i < READINGS; i++) {
    const sensor = sensors[i % sensors.length] ?? 'none'
    await wal.append({ sensor, celsius: 15 + (i % 7) })
    if (i === READINGS / 2) say(`2. ${i} readings are in; ${wal.stats().cursors} cursors follow the log.`)
    if (i % 20 === 0) await sleep(2)
  }
  const late = dashboard(url, Infinity)
  const all = await Promise.all([steady, shaky, late])
  say('3. Three dashboards have all readings: one was there all the time, one hung up again and again, one came late.')

  for (const { ids, latest } of all) {
    check(
      ids.length === READINGS && ids.every((id, place) => id === place + 1),
      'a dashboard has missed or doubled readings',
    )
    check([...latest].join() === [...all[0].latest].join(), 'the dashboards show different things')
  }
  for (const [sensor, celsius] of all[0].latest) say(`   ${sensor.padEnd(7)}${celsius} °C`)

  await close(server)
  while (wal.stats().cursors > 0) await sleep(1)
  say('4. The clients are gone, and so are their cursors.')
  await wal.close()
} finally {
  await rm(directory, { recursive: true })
}
