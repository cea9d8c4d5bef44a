import { bytes, json, openWal, repairWal, text, type WalError } from '../../src/index.js'
import { SimulatedFileSystem } from '../../src/testing.js'
import type { Encoding, Wal, WalOptions } from '../../src/types.js'

/** Where every golden log lives while it is written and read. */
export const directory = '/log'

export interface GoldenLog {
  name: string
  encoding: Encoding<never, unknown>
  write: (fs: SimulatedFileSystem) => Promise<SimulatedFileSystem>
}

type AnyWal = Wal<unknown, unknown>

function open(fs: SimulatedFileSystem, encoding: unknown, options: WalOptions = {}): Promise<AnyWal> {
  const given = {
    fileSystem: fs,
    io: 'buffered',
    ...options,
    encoding: encoding as Encoding<unknown, unknown>,
  } as const
  return openWal(directory, given) as Promise<AnyWal>
}

async function inTransaction(wal: AnyWal, ...data: unknown[]): Promise<void> {
  const transaction = wal.transaction()
  for (const [i, one] of data.entries()) transaction.append(one, { timestamp: 5000 + i })
  await transaction.commit()
}

/** All that a log can hold: batches, transactions, terms, an empty entry, fractions of a millisecond, two segments. */
async function fill(wal: AnyWal, data: (n: number) => unknown): Promise<void> {
  await wal.append(data(1), { term: 1, timestamp: 1000.5 })
  await wal.appendBatch([data(2), data(3), data(4)], { term: 2, timestamp: 2000 })
  await wal.rotate()
  await wal.appendEntries([
    { data: data(5), term: 3, timestamp: 500 },
    { data: data(6), timestamp: 4000 },
  ])
  await inTransaction(wal, data(7), data(8))
}

const textOf = (n: number) => (n === 6 ? '' : `Eintrag № ${n}\n${'x'.repeat(n)}`)
const jsonOf = (n: number) => ({ n, nested: { list: [1, 'two', null], ratio: 0.1 }, text: 'ä\u2028"\\' })

/** A log written in one session and closed. */
function closed(name: string, encoding: unknown, data: (n: number) => unknown, options: WalOptions = {}): GoldenLog {
  const write = async (fs: SimulatedFileSystem) => {
    const wal = await open(fs, encoding, options)
    await fill(wal, data)
    await wal.close()
    return fs
  }
  return { name, encoding: encoding as GoldenLog['encoding'], write }
}

/** One with a past: cut at both ends, emptied, killed and recovered, so that it has several epochs. */
const withHistory: GoldenLog = {
  name: 'binary-history',
  encoding: text(),
  async write(fs) {
    const wal = await open(fs, text(), { startIndex: 100 })
    await fill(wal, textOf)
    await wal.reset(1000)
    await fill(wal, textOf)
    await wal.truncateAfter(1006)
    await wal.append('after the cut', { term: 9, timestamp: 9000 })
    await wal.truncateBefore(1003)
    const killed = fs.kill()
    const again = await open(killed, text())
    await again.append('after the kill', { timestamp: 9001 })
    await again.close()
    return killed
  },
}

/** One whose writer was killed in the middle of its last commit. */
const killed: GoldenLog = {
  name: 'binary-killed',
  encoding: text(),
  async write(fs) {
    const wal = await open(fs, text())
    await fill(wal, textOf)
    await wal.append('never whole', { timestamp: 9000 })
    const left = fs.kill()
    left.remove(`${directory}/mark`)
    const newest = wal.segments().at(-1)!
    left.place(newest.path, left.contents(newest.path).subarray(0, newest.bytes - 5))
    return left
  },
}

/** One that a repair has put together around a segment that was lost. */
const salvaged: GoldenLog = {
  name: 'binary-gap',
  encoding: text(),
  async write(fs) {
    const wal = await open(fs, text())
    for (let segment = 0; segment < 3; segment++) {
      await wal.append(`segment ${segment}`, { timestamp: 1000 * segment })
      await wal.rotate()
    }
    await wal.close()
    fs.remove(wal.segments()[1]!.path)
    await repairWal(directory, { strategy: 'salvage', dryRun: false, output: '/repaired', fileSystem: fs })
    const moved = new SimulatedFileSystem()
    await moved.createDirectory(directory)
    for (const name of await fs.list('/repaired')) moved.place(`${directory}/${name}`, fs.contents(`/repaired/${name}`))
    return moved
  },
}

export const goldenLogs: readonly GoldenLog[] = [
  closed('binary-bytes', bytes(), n => (n === 6 ? new Uint8Array() : Buffer.from([0, 255, n, 10, 13]))),
  closed('binary-text', text(), textOf),
  closed('binary-json', json(), jsonOf),
  closed('ndjson-bytes', bytes(), n => (n === 6 ? new Uint8Array() : Buffer.from([0, 255, n, 10, 13])), {
    format: 'ndjson',
  }),
  closed('ndjson-json', json(), jsonOf, { format: 'ndjson' }),
  withHistory,
  killed,
  salvaged,
]

/** What a log says of itself, as JSON can hold it. */
export async function describeLog(fs: SimulatedFileSystem, encoding: GoldenLog['encoding']): Promise<unknown> {
  const wal = await open(fs, encoding)
  const entries: unknown[] = []
  for await (const { data, ...entry } of wal.replay({ skipGaps: true })) entries.push({ ...entry, data: plain(data) })
  const { clean, cutFromIndex, copiedEntries } = wal.recoveryReport
  const unreadable: string[] = []
  for (let index = wal.firstIndex; index <= wal.lastIndex; index++)
    await wal.get(index).catch((error: WalError) => unreadable.push(`${index}: ${error.code} ${error.kind}`))
  const segments = wal.segments().map(({ firstIndex, lastIndex, sealed }) => ({ firstIndex, lastIndex, sealed }))
  const { firstIndex, lastIndex } = wal
  await wal.close()
  const recovery = { clean, cutFromIndex: cutFromIndex ?? null, copiedEntries }
  return { firstIndex, lastIndex, recovery, segments, unreadable, entries }
}

function plain(data: unknown): unknown {
  return Buffer.isBuffer(data) ? { base64: data.toString('base64') } : data
}
