import { execFile } from 'node:child_process'
import { appendFileSync, cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openWal, repairWal, type Wal, type WalOptions } from '../../src/index.js'
import { isInstalled } from '../helpers/machine.js'
import { fromRoot } from '../helpers/project.js'

const run = promisify(execFile)
type Log = Wal<Buffer, Uint8Array | string>

/** The reader is another program in another language: it can only be right if docs/FORMAT.md is. */
const hasPython = isInstalled('python3')
if (!hasPython && process.env['CI']) throw new Error('these tests have to run in CI; missing: python3')
if (!hasPython) console.log('python3 is not installed: the reader of docs/FORMAT.md in Python is not compared')

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'walrus-format-'))
})
afterEach(() => rmSync(root, { recursive: true }))

/** What the reader in Python prints, a line for each entry and one for the range. */
async function readInPython(directory: string): Promise<unknown[]> {
  const { stdout } = await run('python3', [fromRoot('test/format/reader.py'), directory], { maxBuffer: 1 << 28 })
  return stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as unknown)
}

/** The same, read by the library. */
async function readHere(directory: string): Promise<unknown[]> {
  await using wal = await openWal(directory)
  const lines: unknown[] = []
  for await (const entry of wal.replay({ skipGaps: true }))
    lines.push({ ...entry, data: entry.data.toString('base64') })
  const consumers = Object.fromEntries(wal.consumers().map(({ name, checkpointIndex }) => [name, checkpointIndex]))
  return [...lines, { firstIndex: wal.firstIndex, lastIndex: wal.lastIndex, consumers }]
}

/** Writes a log, compares while it is as a killed writer leaves it, and again once it is closed in order. */
async function compare(options: WalOptions, write: (wal: Log) => Promise<unknown>): Promise<unknown[]> {
  const directory = join(root, 'log')
  const wal = await openWal(directory, options)
  await write(wal)
  const killed = copyOf(directory, 'killed')
  await wal.close()
  const read = await readInPython(killed)
  expect(read).toEqual(await readHere(killed))
  expect(await readInPython(killed), 'recovered').toEqual(read)
  expect(await readInPython(directory), 'closed').toEqual(read)
  return read
}

function copyOf(directory: string, name: string): string {
  cpSync(directory, join(root, name), { recursive: true })
  return join(root, name)
}

const segmentsOf = (directory: string) =>
  readdirSync(directory)
    .filter(name => name.endsWith('.wal'))
    .sort()
    .map(name => join(directory, name))

function flip(path: string, offset: number): void {
  const bytes = readFileSync(path)
  bytes[offset]! ^= 1
  writeFileSync(path, bytes)
}

const inFirstEntry = (segment: string, format: string) =>
  format === 'binary' ? 4096 + 48 + 40 : readFileSync(segment).indexOf('"checksum"') + 15

/** JSON that looks like the end of a commit in the ndjson format. */
const LIKE_A_SEAL = '{"a":1,"commit":{"first":1,"count":1,"bytes":1,"provenEnd":1,"previous":1,"crc":1,"seal":1}}'

/** Entries of every kind, in six segments or more. */
async function writeAllKinds(wal: Log): Promise<void> {
  await wal.append('')
  await wal.append(Buffer.alloc(5_000, 0xaa), { term: 7, timestamp: 1_234.5 })
  await wal.append('an umlaut: ä', { timestamp: new Date(0) })
  for (let length = 0; length < 20; length++) wal.submit(Buffer.alloc(length, length))
  await wal.appendBatch(
    Array.from({ length: 25 }, (_, i) => `of a batch: ${i}`),
    { term: 8 },
  )
  const transaction = wal.transaction()
  for (let i = 0; i < 5; i++) transaction.append(`in a transaction: ${i}`)
  await transaction.commit()
  await Promise.all(
    Array.from({ length: 30 }, (_, i) => wal.append(i === 7 ? LIKE_A_SEAL : JSON.stringify({ atOnce: i, text: 'ä' }))),
  )
}

const formats = ['binary', 'ndjson'] as const

describe.runIf(hasPython)('a reader in Python, written from docs/FORMAT.md', () => {
  describe.each(formats)('reads what the library reads, format %s', format => {
    it.each(['always', 'never'] as const)('entries of every kind, in many segments, sync: %s', async sync => {
      const read = await compare({ format, sync, rotation: { maxEntries: 10 } }, writeAllKinds)
      expect(read).toHaveLength(84)
      expect(segmentsOf(join(root, 'log')).length).toBeGreaterThan(5)
      expect(read[50]).toHaveProperty('transactionId')
    })

    it('a log without entries, also one that begins at another index', async () => {
      const read = await compare({ format, startIndex: 1_000 }, async () => undefined)
      expect(read).toEqual([{ firstIndex: 1_000, lastIndex: 999, consumers: {} }])
    })

    it('a log that was cut at both ends, within batches, and written on', async () => {
      const read = await compare({ format, rotation: { maxEntries: 10 } }, async wal => {
        await writeAllKinds(wal)
        await wal.truncateAfter(40)
        await wal.append('behind the cut')
        await wal.truncateBefore(31)
        await wal.truncateAfter(38)
        await wal.append('behind the second cut')
      })
      expect(read.at(-1)).toEqual({ firstIndex: 31, lastIndex: 39, consumers: {} })
    })

    it('a log that was emptied, and one that was reset', async () => {
      const read = await compare({ format }, async wal => {
        await writeAllKinds(wal)
        await wal.truncateBefore(wal.lastIndex + 1)
      })
      expect(read).toEqual([{ firstIndex: 84, lastIndex: 83, consumers: {} }])
      rmSync(join(root, 'log'), { recursive: true })
      rmSync(join(root, 'killed'), { recursive: true })
      const reset = await compare({ format }, async wal => {
        await writeAllKinds(wal)
        await wal.reset(500)
        await wal.append('a new start')
      })
      expect(reset.at(-1)).toEqual({ firstIndex: 500, lastIndex: 500, consumers: {} })
    })

    it('the positions of consumers', async () => {
      const read = await compare({ format }, async wal => {
        await wal.appendBatch(['a', 'b', 'c'])
        for (const [name, index] of [
          ['all', 3],
          ['some.of-them', 2],
        ] as const) {
          const consumer = wal.consumer(name)
          await consumer.chunks().next()
          await consumer.checkpoint(index)
          await consumer.close()
        }
      })
      expect(read.at(-1)).toEqual({ firstIndex: 1, lastIndex: 3, consumers: { all: 3, 'some.of-them': 2 } })
    })

    it('a log from which a repair had to leave entries out', async () => {
      const directory = join(root, 'log')
      const wal = await openWal(directory, { format, rotation: { maxEntries: 10 } })
      await writeAllKinds(wal)
      await wal.close()
      flip(segmentsOf(directory)[1]!, inFirstEntry(segmentsOf(directory)[1]!, format))
      const { output, lostRanges } = await repairWal(directory, { strategy: 'salvage', dryRun: false })
      expect(lostRanges).not.toEqual([])
      const read = await readInPython(output)
      expect(read).toEqual(await readHere(output))
      expect(read.length).toBeLessThan(84)
    })

    it('a log whose last write was torn, before and after its recovery, crash upon crash', async () => {
      let directory = join(root, 'log')
      for (let crash = 1; crash <= 4; crash++) {
        const wal = await openWal(directory, { format, sync: 'never' })
        for (let i = 0; i < 3; i++) await wal.append(`before crash ${crash}: ${i}`)
        const killed = copyOf(directory, `killed-${crash}`)
        await wal.close()
        const newest = segmentsOf(killed).at(-1)!
        if (crash % 2 === 0) appendFileSync(newest, 'torn bytes that no commit explains')
        else writeFileSync(newest, readFileSync(newest).subarray(0, -9))
        const read = await readInPython(killed)
        expect(read).toEqual(await readHere(killed))
        expect(read).toEqual(await readInPython(killed))
        directory = killed
      }
      expect((await readInPython(directory)).length).toBeGreaterThan(8)
    })
  })

  describe.each(formats)('refuses what the library refuses, format %s', format => {
    const flipEntry = (path: string) => flip(path, inFirstEntry(path, format))

    it.each<[string, (directory: string) => void]>([
      ['a segment that is missing', directory => rmSync(segmentsOf(directory)[1]!)],
      ['the newest segment missing', directory => rmSync(segmentsOf(directory).at(-1)!)],
      ['a rotten header', directory => flip(segmentsOf(directory)[1]!, 50)],
      ['a rotten entry in a sealed segment', directory => flipEntry(segmentsOf(directory)[0]!)],
      ['a rotten entry that was proven durable', directory => flipEntry(segmentsOf(directory).at(-1)!)],
      [
        'a manifest without a valid slot',
        directory => {
          flip(join(directory, 'manifest'), 60)
          flip(join(directory, 'manifest'), 4096 + 60)
        },
      ],
      [
        'a segment under another name',
        directory => cpSync(segmentsOf(directory)[0]!, join(directory, `${'9'.repeat(16)}-${'9'.repeat(16)}.wal`)),
      ],
    ])('%s', async (_, damage) => {
      const directory = join(root, 'log')
      await using wal = await openWal(directory, { format, rotation: { maxEntries: 10 } })
      await writeAllKinds(wal)
      // Commits of their own, so that each proves that the ones before it were synced.
      for (let i = 0; i < 5; i++) await wal.append(`one by one: ${i}`)
      const damaged = copyOf(directory, 'damaged')
      damage(damaged)
      await expect(readInPython(damaged)).rejects.toThrow(/damaged: /)
      await expect(readHere(damaged)).rejects.toMatchObject({ code: 'WAL_CORRUPT' })
    })
  })
})
