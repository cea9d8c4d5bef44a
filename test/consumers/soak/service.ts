// The process that is killed: `node service.js <directory> <seed> [finish]` writes to a log and has consumers follow it, each in
// its own way. With `finish` it writes nothing, lets all of them come to the end, and closes.
import { setTimeout } from 'node:timers/promises'
import { type Chunk, openWal, text, type WalConsumer, type WalOptions } from 'walrus-wal'
import { Journal } from './journal.js'
import { View } from './view.js'

const [directory = '', seedText = '0', mode] = process.argv.slice(2)
let state = Number(seedText) + 1
/** A small generator with a seed (mulberry32). */
const random = () => {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
const upTo = (limit: number) => 1 + Math.floor(random() * limit)
const policies: NonNullable<WalOptions['sync']>[] = ['always', { intervalMs: 20 }, 'never']

/** So that the consumers can follow, however fast the log is. */
const MOST_ENTRIES = 1_500

const wal = await openWal(`${directory}/log`, {
  encoding: text(),
  sync: policies[Math.floor(random() * policies.length)] ?? 'always',
  segmentMaxBytes: 8192 * upTo(8),
})

function journalOf(name: string): Journal {
  const journal = new Journal(`${directory}/${name}.journal`)
  journal.mayComeAgain()
  return journal
}

function indexesOf(entries: Chunk<string>): number[] {
  for (const { index, data } of entries) if (data !== `entry ${index}`) throw new Error(`entry ${index} is '${data}'`)
  return entries.map(({ index }) => index)
}

const options = { checkpointIntervalMs: upTo(50) }
const plain = wal.consumer('plain', options)
const plainJournal = journalOf('plain')
const flaky = wal.consumer('flaky', options)
const flakyJournal = journalOf('flaky')
const thirds = wal.consumer('thirds', { ...options, filter: ({ index }) => index % 3 === 0 })
const thirdsJournal = journalOf('thirds')
const pulled = wal.consumer('pulled', options)
const pulledJournal = journalOf('pulled')
const exact = wal.consumer('exact', options)
const view = new View(`${directory}/view.db`)
const { position } = view
if (position !== undefined) exact.seek({ position })

async function flakyHandler(entries: Chunk<string>): Promise<void> {
  flakyJournal.given(indexesOf(entries))
  if (random() < 0.2) await setTimeout(1)
  if (random() > 0.1) return
  flakyJournal.mayComeAgain()
  throw new Error('now and then it fails')
}

async function pull(consumer: WalConsumer<string>): Promise<void> {
  for await (const chunk of consumer.chunks({ chunkMaxEntries: 50 })) {
    pulledJournal.given(indexesOf(chunk))
    await consumer.checkpoint(mode === 'finish' || random() < 0.5 ? undefined : chunk[0]?.index)
  }
}

const all = Promise.all([
  plain.run(entries => plainJournal.given(indexesOf(entries))),
  flaky.run(flakyHandler, {
    chunkMaxEntries: upTo(40),
    onError: 'retry',
    retry: { attempts: 50, minDelayMs: 1, maxDelayMs: 5 },
  }),
  thirds.run(entries => thirdsJournal.given(indexesOf(entries))),
  pull(pulled),
  exact.run(entries => view.add(indexesOf(entries), exact.position ?? '')),
])

async function write(): Promise<void> {
  const end = wal.lastIndex + MOST_ENTRIES
  while (wal.lastIndex < end) {
    const next = wal.lastIndex + 1
    await wal.appendBatch(Array.from({ length: upTo(20) }, (_, i) => `entry ${next + i}`))
    if (random() < 0.5) await setTimeout(upTo(4))
  }
}

console.log('ready')
if (mode === 'finish') {
  const consumers = [plain, flaky, thirds, pulled, exact]
  await Promise.race([all, Promise.all(consumers.map(consumer => consumer.whenCaughtUp({ timeoutMs: 60_000 })))])
  console.log(`last ${wal.lastIndex}`)
  await wal.close()
  await all
  view.close()
} else {
  await Promise.race([all, write()])
  await all
}
