import { describe, expect, it } from 'vitest'
import { inspectWal, openWal, type RepairOptions, repairWal, text, verifyWal } from '../src/index.js'
import { SimulatedFileSystem } from '../src/testing.js'
import type { RepairReport, WalOptions } from '../src/types.js'
import { contentOf, flipBit } from './helpers/small-log.js'
import { walError } from './helpers/waiting.js'

const directory = '/log'
const repaired = '/log.repaired'
const formats = ['binary', 'ndjson'] as const

type Entries = { index: number; data: string; term: number; timestamp: number; transactionId?: string }[]

/** Three segments, entries 1 to 4, 5 to 8 and 9 to 12, among them batches and a transaction. */
async function threeSegments(options: WalOptions = {}): Promise<{ fs: SimulatedFileSystem; entries: Entries }> {
  const fs = new SimulatedFileSystem()
  const wal = await openWal(directory, { fileSystem: fs, encoding: text(), io: 'buffered', ...options })
  for (let segment = 0; segment < 3; segment++) {
    if (segment > 0) await wal.rotate()
    await wal.append(`a${segment}`, { term: segment, timestamp: 1000 * segment })
    await wal.appendBatch([`b${segment}`, `c${segment}`])
    const transaction = wal.transaction()
    transaction.append(`d${segment}`)
    await transaction.commit()
  }
  const entries = await entriesOf(fs, directory, wal)
  await wal.close()
  return { fs, entries }
}

async function entriesOf(
  fs: SimulatedFileSystem,
  path = repaired,
  opened?: Awaited<ReturnType<typeof openText>>,
): Promise<Entries> {
  const wal = opened ?? (await openText(fs, path))
  const entries: Entries = []
  // The checksum covers the log's id, and the repaired log has another.
  for await (const { checksum: _, ...entry } of wal.replay({ skipGaps: true })) entries.push(entry)
  if (opened === undefined) await wal.close()
  return entries
}

const openText = (fs: SimulatedFileSystem, path = repaired) => openWal(path, { fileSystem: fs, encoding: text() })

const segmentsOf = async (fs: SimulatedFileSystem) =>
  (await fs.list(directory))
    .filter(name => name.endsWith('.wal'))
    .sort()
    .map(name => `${directory}/${name}`)

function repair(fs: SimulatedFileSystem, options: Partial<RepairOptions> = {}): Promise<RepairReport> {
  return repairWal(directory, { strategy: 'salvage', dryRun: false, fileSystem: fs, ...options })
}

/** Offset of some text in a file. */
const find = (fs: SimulatedFileSystem, path: string, what: string) => fs.contents(path).indexOf(what)

const range = (firstIndex: number, lastIndex: number) => ({ firstIndex, lastIndex, count: lastIndex - firstIndex + 1 })
const indexesOf = (entries: Entries) => entries.map(({ index }) => index)

describe.each(formats)('repairWal of a log in format %s', format => {
  it('copies a healthy log whole, and leaves it as it is', async () => {
    const { fs, entries } = await threeSegments({ format })
    for (const strategy of ['salvage', 'truncate-at-damage'] as const) {
      const output = `/${strategy}`
      const report = await repair(fs, { strategy, output })
      expect(report).toEqual({ dryRun: false, strategy, findings: [], keptEntries: 12, lostRanges: [], output })
      expect(await entriesOf(fs, output)).toEqual(entries)
      expect(await verifyWal(output, { fileSystem: fs })).toMatchObject({ ok: true, findings: [], entries: 12 })
      expect((await inspectWal(output, { fileSystem: fs })).format).toBe(format)
    }
    expect(await entriesOf(fs, directory)).toEqual(entries)
  })

  it('salvages every entry but the damaged one, and declares the gap', async () => {
    const { fs, entries } = await threeSegments({ format })
    const [, second] = await segmentsOf(fs)
    flipBit(fs, second!, find(fs, second!, format === 'binary' ? 'b1' : Buffer.from('b1').toString('base64')))
    const report = await repair(fs)
    expect(report).toMatchObject({ keptEntries: 11, lostRanges: [range(6, 6)] })
    const verified = await verifyWal(repaired, { fileSystem: fs })
    expect(verified).toMatchObject({ ok: true, findings: [{ kind: 'gap', firstIndex: 6, lastIndex: 6 }] })
    expect(await entriesOf(fs)).toEqual(entries.filter(({ index }) => index !== 6))
  })

  it('cuts before the damage', async () => {
    const { fs, entries } = await threeSegments({ format })
    const [, second] = await segmentsOf(fs)
    flipBit(fs, second!, find(fs, second!, format === 'binary' ? 'b1' : Buffer.from('b1').toString('base64')))
    const report = await repair(fs, { strategy: 'truncate-at-damage' })
    expect(report).toMatchObject({ keptEntries: 5, lostRanges: [range(6, 12)] })
    expect(await entriesOf(fs)).toEqual(entries.slice(0, 5))
    expect(await verifyWal(repaired, { fileSystem: fs })).toMatchObject({ ok: true, findings: [] })
    await using wal = await openText(fs)
    expect(await wal.append('next')).toBe(6)
  })

  it('salvages what a segment without a readable header holds', async () => {
    const { fs, entries } = await threeSegments({ format })
    for (const path of await segmentsOf(fs)) flipBit(fs, path, 60)
    const report = await repair(fs)
    expect(report.findings.filter(({ kind }) => kind === 'corrupt')).toHaveLength(3)
    expect(report.keptEntries).toBe(12)
    expect(await entriesOf(fs)).toEqual(entries)
  })

  it('works without a manifest, and names the first index it assumed', async () => {
    const { fs, entries } = await threeSegments({ format, startIndex: 101 })
    fs.remove(`${directory}/manifest`)
    const report = await repair(fs)
    expect(report).toMatchObject({ keptEntries: 12, findings: [{ kind: 'manifest', firstIndex: 101 }] })
    expect(await entriesOf(fs)).toEqual(entries)
  })

  it('bridges a missing segment with a gap', async () => {
    const { fs, entries } = await threeSegments({ format })
    fs.remove((await segmentsOf(fs))[1]!)
    expect(await repair(fs)).toMatchObject({ keptEntries: 8, lostRanges: [range(5, 8)] })
    expect(await entriesOf(fs)).toEqual(entries.filter(({ index }) => index < 5 || index > 8))
  })

  it('salvages entries and commits larger than what is read at a time', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openWal(directory, { fileSystem: fs, encoding: text(), io: 'buffered', format })
    const large = (letter: string, mebibytes: number) => letter.repeat(mebibytes << 20)
    await wal.appendBatch(['small', large('b', 3), 'rotten', large('d', 2), 'after'])
    await wal.appendBatch([large('f', 2), large('g', 2)])
    await wal.append('end')
    const [path] = await segmentsOf(fs)
    await wal.close()
    expect(await verifyWal(directory, { fileSystem: fs })).toMatchObject({ ok: true, entries: 8 })
    flipBit(fs, path!, find(fs, path!, format === 'binary' ? 'rotten' : Buffer.from('rotten').toString('base64')))
    const { findings, entries } = await verifyWal(directory, { fileSystem: fs })
    expect(findings).toMatchObject([{ kind: 'corrupt', firstIndex: 1, lastIndex: 5 }])
    expect(entries).toBe(3)
    expect(await repair(fs)).toMatchObject({ keptEntries: 7, lostRanges: [range(3, 3)] })
    const kept = await entriesOf(fs)
    expect(kept.map(({ index, data }) => [index, data[0], data.length])).toEqual([
      [1, 's', 5],
      [2, 'b', 3 << 20],
      [4, 'd', 2 << 20],
      [5, 'a', 5],
      [6, 'f', 2 << 20],
      [7, 'g', 2 << 20],
      [8, 'e', 3],
    ])
  })

  it('begins behind a beginning that is lost, and ends before an end that is', async () => {
    const { fs } = await threeSegments({ format })
    const [first, , last] = await segmentsOf(fs)
    fs.remove(first!)
    fs.place(last!, contentOf(fs, last!).subarray(0, -40))
    expect(await repair(fs)).toMatchObject({ lostRanges: [range(1, 4), range(12, 12)] })
    const kept = await entriesOf(fs)
    expect(indexesOf(kept)).toEqual([5, 6, 7, 8, 9, 10, 11])
    await using wal = await openText(fs)
    expect([wal.firstIndex, wal.lastIndex]).toEqual([5, 11])
  })
})

describe('repairWal', () => {
  it('only tells what it would do unless told otherwise', async () => {
    const { fs } = await threeSegments()
    fs.remove((await segmentsOf(fs))[1]!)
    const before = fs.operations
    const would = await repairWal(directory, { strategy: 'salvage', fileSystem: fs })
    expect(fs.operations).toBe(before)
    expect(would).toMatchObject({ dryRun: true, output: repaired })
    const { dryRun: _, ...did } = await repair(fs)
    expect(would).toMatchObject(did)
  })

  it('keeps what was truncated away out of the copy', async () => {
    const { fs } = await threeSegments()
    const wal = await openText(fs, directory)
    await wal.truncateAfter(10)
    await wal.append('new 11')
    await wal.truncateBefore(3)
    await wal.close()
    expect(await repair(fs)).toMatchObject({ keptEntries: 9, lostRanges: [], findings: [] })
    const kept = await entriesOf(fs)
    expect(indexesOf(kept)).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11])
    expect(kept.at(-1)!.data).toBe('new 11')
  })

  it('leaves a torn end out, as opening would', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openWal(directory, { fileSystem: fs, io: 'buffered' })
    await wal.append('one')
    await wal.appendBatch(['two', 'three'])
    const killed = fs.kill()
    killed.remove(`${directory}/mark`)
    const [active] = await segmentsOf(killed)
    killed.place(active!, contentOf(killed, active!).subarray(0, -1))
    const report = await repair(killed)
    expect(report).toMatchObject({ keptEntries: 1, lostRanges: [], findings: [{ kind: 'torn' }] })
  })

  it('makes an empty log of one that has nothing left', async () => {
    const { fs } = await threeSegments()
    fs.remove((await segmentsOf(fs))[0]!)
    const report = await repair(fs, { strategy: 'truncate-at-damage' })
    expect(report).toMatchObject({ keptEntries: 0, lostRanges: [range(1, 12)] })
    await using wal = await openText(fs)
    expect([wal.firstIndex, wal.lastIndex]).toEqual([1, 0])
    expect(await wal.append('first')).toBe(1)
  })

  it('keeps the gap that an earlier repair declared', async () => {
    const { fs } = await threeSegments()
    fs.remove((await segmentsOf(fs))[1]!)
    await repair(fs)
    for (const strategy of ['salvage', 'truncate-at-damage'] as const) {
      const report = await repairWal(repaired, { strategy, dryRun: false, output: `/${strategy}`, fileSystem: fs })
      expect(report).toMatchObject({ keptEntries: 8, lostRanges: [], findings: [{ kind: 'gap' }] })
    }
  })

  it('refuses a log that is open, an output that exists, and what is no log', async () => {
    const { fs } = await threeSegments()
    const wal = await openText(fs, directory)
    await walError(repair(fs), 'WAL_LOCKED')
    await wal.close()
    await fs.createDirectory('/taken')
    await walError(repair(fs, { output: '/taken' }), 'WAL_INVALID_OPTION')
    await walError(repairWal('/nothing', { strategy: 'salvage', fileSystem: fs }), 'WAL_NOT_FOUND')
    await walError(repairWal('/nothing', { strategy: 'salvage', dryRun: false, fileSystem: fs }), 'WAL_NOT_FOUND')
    await walError(repairWal(directory, { strategy: 'all' } as never), 'WAL_INVALID_OPTION')
    await walError(repairWal(directory, {} as never), 'WAL_INVALID_OPTION')
    await fs.createDirectory('/other.tmp')
    fs.place('/other.tmp/mine', Buffer.from('x'))
    await walError(repair(fs, { output: '/other' }), 'WAL_INVALID_OPTION')
    expect(String(fs.contents('/other.tmp/mine'))).toBe('x')
  })

  it('tells of its progress, and stops when aborted', async () => {
    const { fs } = await threeSegments()
    const seen: { done: number; total: number }[] = []
    await repair(fs, { onProgress: ({ done, total }) => seen.push({ done, total }) })
    expect(seen.length).toBeGreaterThan(3)
    for (const { done, total } of seen) expect(done).toBeLessThanOrEqual(total)
    const stop = new AbortController()
    const stopped = repair(fs, { output: '/b', signal: stop.signal, onProgress: () => stop.abort('stop') })
    await expect(stopped).rejects.toBe('stop')
    expect(await fs.stat('/b')).toBeUndefined()
  })

  it('can be cut at any operation and run again', async () => {
    const { fs } = await threeSegments()
    const [, second] = await segmentsOf(fs)
    flipBit(fs, second!, find(fs, second!, 'b1'))
    const image = fs.crashImage({ seed: 0 })
    const start = image.operations
    await repair(image)
    const count = image.operations - start
    expect(count).toBeGreaterThan(15)
    for (let cut = 1; cut <= count + 1; cut++)
      // What a missing sync takes shows late: once the name is there.
      for (const seed of cut < count - 3 ? [0, 1, 7] : [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) {
        const run = fs.crashImage({ seed: 0 })
        run.crashAt(run.operations + cut)
        await repair(run).catch(() => undefined)
        const left = run.crash({ seed })
        if (cut <= count && (await left.stat(repaired)) === undefined) await repair(left)
        expect(indexesOf(await entriesOf(left))).toEqual([1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12])
        expect(await verifyWal(repaired, { fileSystem: left })).toMatchObject({ ok: true, entries: 11 })
      }
  })
})

describe('a gap', () => {
  async function withGap(): Promise<SimulatedFileSystem> {
    const { fs } = await threeSegments()
    fs.remove((await segmentsOf(fs))[1]!)
    await repair(fs)
    return fs
  }

  it('fails whoever reads into it, with its range, unless they skip it', async () => {
    await using wal = await openText(await withGap())
    const details = { code: 'WAL_CORRUPT', kind: 'gap', firstIndex: 5, lastIndex: 8 }
    const read: number[] = []
    const replay = async (options: object) => {
      read.length = 0
      for await (const { index } of wal.replay(options)) read.push(index)
    }
    await expect(replay({})).rejects.toMatchObject(details)
    expect(read).toEqual([1, 2, 3, 4])
    await expect(replay({ from: 6 })).rejects.toMatchObject(details)
    await expect(wal.get(7)).rejects.toMatchObject({ ...details, index: 7 })
    expect(() => wal.getSync(5)).toThrow(expect.objectContaining(details))
    await expect(wal.getRange(4, 9)).rejects.toMatchObject(details)
    await replay({ skipGaps: true })
    expect(read).toEqual([1, 2, 3, 4, 9, 10, 11, 12])
    await replay({ from: 6, to: 10, skipGaps: true })
    expect(read).toEqual([9, 10])
    await replay({ from: 6, to: 7, skipGaps: true })
    expect(read).toEqual([])
    await replay({ from: 9 })
    expect(read).toEqual([9, 10, 11, 12])
    expect((await wal.verify()).ok).toBe(true)
  })

  it('stays through appends, reopening and a crash', async () => {
    const fs = await withGap()
    const wal = await openText(fs)
    await wal.append('13')
    const killed = fs.kill()
    expect(indexesOf(await entriesOf(killed))).toEqual([1, 2, 3, 4, 9, 10, 11, 12, 13])
    await using again = await openText(killed)
    await expect(again.get(6)).rejects.toMatchObject({ kind: 'gap' })
  })

  it('can be cut into from both sides', async () => {
    for (const [side, index, kept] of [
      ['before', 7, [9, 10, 11, 12]],
      ['before', 5, [9, 10, 11, 12]],
      ['after', 6, [1, 2, 3, 4]],
      ['after', 8, [1, 2, 3, 4]],
      ['after', 4, [1, 2, 3, 4]],
    ] as const) {
      const fs = await withGap()
      const wal = await openText(fs)
      await (side === 'before' ? wal.truncateBefore(index) : wal.truncateAfter(index))
      expect(indexesOf(await entriesOf(fs, repaired, wal))).toEqual(kept)
      const next = side === 'after' ? index + 1 : 13
      expect(await wal.append('next')).toBe(next)
      expect((await wal.verify()).ok).toBe(true)
      await wal.close()
      expect((await verifyWal(repaired, { fileSystem: fs })).ok).toBe(true)
      await using again = await openText(fs)
      expect(again.firstIndex).toBe(side === 'before' ? index : 1)
      expect(indexesOf(await entriesOf(fs, repaired, again))).toEqual([...kept, next])
    }
  })

  it('that was cut into twice is still understood', async () => {
    const fs = await withGap()
    const wal = await openText(fs)
    await wal.truncateBefore(6)
    await wal.truncateAfter(7)
    expect(await wal.append('8')).toBe(8)
    await wal.close()
    await using again = await openText(fs)
    expect([again.firstIndex, again.lastIndex]).toEqual([6, 8])
    await expect(again.get(7)).rejects.toMatchObject({ kind: 'gap', firstIndex: 5, lastIndex: 7 })
    expect((await again.get(8)).data).toBe('8')
  })
})
