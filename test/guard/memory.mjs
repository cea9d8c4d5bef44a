// Prints, as JSON, what following a log costs in memory. Run with --expose-gc.
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

const [library, directory] = process.argv.slice(2)
const { openWal } = await import(library)

const MIB = 1 << 20
const ENTRY_BYTES = 256
const TAILS = 100
const PARKED = 1000
const peakMb = () => process.resourceUsage().maxRSS / 1024
const turn = () => new Promise(resolve => setTimeout(resolve, 20))

/** Bytes that are alive, on the heap and beside it. */
async function aliveBytes() {
  await turn()
  globalThis.gc()
  await turn()
  globalThis.gc()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

function payloads(bytes) {
  const pool = Array.from({ length: 1024 }, (_, i) => Buffer.alloc(ENTRY_BYTES, i))
  let left = bytes / ENTRY_BYTES
  return new Readable({
    objectMode: true,
    highWaterMark: 1024,
    read() {
      while (left > 0) if (!this.push(pool[left-- & 1023])) return
      this.push(null)
    },
  })
}

const wal = await openWal(directory)
const figures = { startMb: peakMb() }

// Readers that keep up, while a lot is written, and a replay of it.
let delivered = 0
const stopping = new AbortController()
const following = Array.from({ length: TAILS }, async () => {
  for await (const chunk of wal.tail({ from: 'end', signal: stopping.signal }).chunks()) delivered += chunk.length
}).map(tail => tail.catch(() => undefined))
await pipeline(payloads(64 * MIB), wal.writable())
figures.afterFirstMb = peakMb()
await pipeline(payloads(192 * MIB), wal.writable())
let replayed = 0
for await (const chunk of wal.replay().chunks()) replayed += chunk.length
figures.peakMb = peakMb()
figures.delivered = delivered / TAILS
figures.replayed = replayed
stopping.abort()
await Promise.all(following)

// Readers that wait, and readers that have taken one chunk and never come back.
const before = await aliveBytes()
const open = Array.from({ length: PARKED }, () => wal.tail({ from: 'end' }).chunks())
const first = open.map(chunks => chunks.next())
figures.bytesPerParked = ((await aliveBytes()) - before) / PARKED
await pipeline(payloads(64 * MIB), wal.writable())
await Promise.all(first)
figures.bytesPerSlow = ((await aliveBytes()) - before) / PARKED
for (const chunks of open) await chunks.return()
await wal.close()
console.log(JSON.stringify(figures))
