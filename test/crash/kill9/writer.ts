// The process that is killed: `node writer.js <directory> <ledger> <format> <seed> <round>` opens the log and writes until it
// dies.
import { writeSync } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { openWal, type Wal, type WalOptions } from 'walrus-wal'
import { Ledger } from './ledger.js'
import { payloadOf } from './payload.js'
import { randomFrom } from './random.js'

const [directory = '', ledgerPath = '', format, ...numbers] = process.argv.slice(2)
const [seed = 0, round = 0] = numbers.map(Number)
const random = randomFrom(seed, round)
const upTo = (limit: number) => 1 + Math.floor(random() * limit)
const oneOf = <T>(choices: readonly T[]): T => choices[Math.floor(random() * choices.length)]!

/** So that a disk fills slowly, however fast the log is. */
const MOST_ENTRIES = 4_000
const ledger = new Ledger(ledgerPath, round)
type Log = Wal<Buffer, Uint8Array | string>

/** The next `count` payloads; noted as attempted, so that nothing else may ever be found in the log. */
function payloads(nextIndex: number, count: number, together: boolean): Buffer[] {
  ledger.note('attempted', nextIndex + count - 1)
  return Array.from({ length: count }, (_, i) => {
    const index = nextIndex + i
    return payloadOf({
      seed,
      round,
      index,
      ...(together ? { batchFirst: nextIndex, batchCount: count } : { batchFirst: index, batchCount: 1 }),
    })
  })
}

const acknowledge = (index: number) => ledger.note('acknowledged', index)

/** The ways to write, one a round. Each does a piece of work and returns once it is acknowledged. */
const ways: Record<string, (wal: Log) => Promise<unknown>> = {
  async oneByOne(wal) {
    for (const data of payloads(wal.lastIndex + 1, 8, false)) acknowledge(await wal.append(data))
  },
  concurrently(wal) {
    const data = payloads(wal.lastIndex + 1, upTo(64), false)
    return Promise.all(data.map(async one => acknowledge(await wal.append(one))))
  },
  async inBatches(wal) {
    const { lastIndex } = await wal.appendBatch(payloads(wal.lastIndex + 1, upTo(40), true))
    acknowledge(lastIndex)
  },
  batchesAtOnce(wal) {
    const batches = Array.from({ length: upTo(6) }, async () => {
      const { lastIndex } = await wal.appendBatch(payloads(wal.lastIndex + 1, upTo(20), true))
      acknowledge(lastIndex)
    })
    return Promise.all(batches)
  },
  async inTransactions(wal) {
    const transaction = wal.transaction()
    for (const data of payloads(wal.lastIndex + 1, upTo(30), true)) transaction.append(data)
    const { lastIndex } = await transaction.commit()
    acknowledge(lastIndex)
  },
  async submitted(wal) {
    let last = 0
    for (const data of payloads(wal.lastIndex + 1, upTo(100), false)) last = wal.submit(data)
    await wal.waitForCommit(last)
    acknowledge(last)
  },
  async piped(wal) {
    const seen = ({ lastIndex }: { lastIndex: number }) => acknowledge(lastIndex)
    wal.on('commit', seen)
    await pipeline(Readable.from(payloads(wal.lastIndex + 1, upTo(500), false)), wal.writable())
    wal.off('commit', seen)
    acknowledge(wal.lastIndex)
  },
}

async function cutFront(wal: Log): Promise<void> {
  const first = wal.lastIndex - 1_000
  if (first <= wal.firstIndex) return
  ledger.note('cutting', first)
  await wal.truncateBefore(first)
  ledger.note('cut', first)
}

const sync = oneOf<NonNullable<WalOptions['sync']>>(['always', 'always', { intervalMs: 5 }, 'never'])
const write = oneOf(Object.values(ways))
const cuts = random() < 0.2

writeSync(1, 'opening\n')
const wal = await openWal(directory, {
  format: format as NonNullable<WalOptions['format']>,
  sync,
  segmentMaxBytes: oneOf([4_096, 20_000, 100_000]),
  io: oneOf(['auto', 'buffered']),
  writerThread: oneOf([false, true]),
})
ledger.note('opened', wal.lastIndex)
writeSync(1, 'open\n')
const limit = wal.lastIndex + MOST_ENTRIES
while (wal.lastIndex < limit) {
  await write(wal)
  if (cuts && random() < 0.1) await cutFront(wal)
}
writeSync(1, 'done\n')
setInterval(() => undefined, 1_000)
