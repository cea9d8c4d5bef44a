import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { inspectWal, openWal, repairWal, verifyWal } from '../src/index.js'
import { openWith } from '../src/open.js'
import { SimulatedFileSystem } from '../src/testing.js'
import type { VerifyReport } from '../src/types.js'
import { verifyWith } from '../src/verify.js'
import { ManualClock } from './helpers/manual-clock.js'
import { contentOf, directory, flipBit, openSmall, segmentsIn, threeSegments } from './helpers/small-log.js'

const FIRST_COMMIT = 4096
const COMMIT_HEADER_BYTES = 48
const MARK_INTERVAL_MS = 10

/** Verification without waiting for a writer that may be alive. */
const verify = (fs: SimulatedFileSystem): Promise<VerifyReport> =>
  verifyWith(directory, { fs, clock: new ManualClock(), pause: () => Promise.resolve(), options: {} })

const directories: string[] = []
afterEach(async () => {
  for (const path of directories.splice(0)) await rm(path, { recursive: true })
})

async function realDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'walrus-verify-'))
  directories.push(path)
  return path
}

describe('verifyWal', () => {
  it('finds nothing wrong with a log that was closed', async () => {
    const { fs, entries } = await threeSegments()
    const report = await verifyWal(directory, { fileSystem: fs })
    expect(report).toMatchObject({ ok: true, entries: entries.length, findings: [], throughPageCache: false })
    expect(report.segments.map(({ firstIndex, lastIndex, sealed }) => [firstIndex, lastIndex, sealed])).toEqual([
      [1, 4, true],
      [5, 8, true],
      [9, 12, false],
    ])
    expect(report.bytes).toBeGreaterThan(3 * FIRST_COMMIT)
  })

  it('says where an entry is damaged, and goes on behind it', async () => {
    const { fs, entries } = await threeSegments()
    const [, second] = await segmentsIn(fs)
    flipBit(fs, second!, FIRST_COMMIT + COMMIT_HEADER_BYTES + 32)
    const report = await verify(fs)
    expect(report.ok).toBe(false)
    expect(report.entries).toBe(entries.length - 1)
    expect(report.findings).toMatchObject([
      { kind: 'corrupt', segment: second, offset: FIRST_COMMIT, firstIndex: 5, lastIndex: 5 },
    ])
  })

  it('reports two damages in one segment as two', async () => {
    const { fs } = await threeSegments()
    const [first] = await segmentsIn(fs)
    flipBit(fs, first!, FIRST_COMMIT + 20)
    flipBit(fs, first!, contentOf(fs, first!).length - 1)
    const { findings } = await verify(fs)
    expect(findings.map(({ kind, firstIndex, lastIndex }) => [kind, firstIndex, lastIndex])).toEqual([
      ['corrupt', 1, 1],
      ['corrupt', 3, 4],
    ])
  })

  it('finds a header that is not readable', async () => {
    const { fs } = await threeSegments()
    const [, second] = await segmentsIn(fs)
    flipBit(fs, second!, 70)
    const { findings } = await verify(fs)
    expect(findings.map(({ kind }) => kind)).toContain('corrupt')
    expect(findings.find(({ kind }) => kind === 'corrupt')).toMatchObject({ segment: second, offset: 0 })
    expect(findings.find(({ kind }) => kind === 'missing')).toMatchObject({ lastIndex: 8 })
  })

  it('finds a segment that is missing, in the middle, at the end and at the beginning', async () => {
    for (const at of [1, 2, 0]) {
      const { fs } = await threeSegments()
      const gone = (await segmentsIn(fs))[at]!
      fs.remove(gone)
      const report = await verify(fs)
      expect(report.findings.map(({ kind }) => kind)).toContain('missing')
      expect(report.entries).toBe(8)
    }
  })

  it('finds a segment that was cut, though its successor says where it ended', async () => {
    const { fs } = await threeSegments()
    const [first] = await segmentsIn(fs)
    fs.place(first!, contentOf(fs, first!).subarray(0, -60))
    expect((await verify(fs)).findings).toMatchObject([
      { kind: 'corrupt', segment: first, firstIndex: 3, lastIndex: 4 },
    ])
  })

  it('finds a segment under another name, and one of another log', async () => {
    const { fs } = await threeSegments()
    const [first, second] = await segmentsIn(fs)
    fs.place(`${directory}/0000000000000004-0000000000000013.wal`, fs.contents(second!))
    expect((await verify(fs)).findings).toMatchObject([{ kind: 'duplicate' }])
    const other = await threeSegments()
    other.fs.place(first!, fs.contents(first!))
    const { findings } = await verify(other.fs)
    expect(findings.map(({ kind }) => kind)).toContain('foreign')
  })

  it('tells a torn end from damage by what is proven', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openSmall(fs)
    for (let i = 0; i < 3; i++) await wal.append(`entry ${i}`)
    await new Promise(resolve => setTimeout(resolve, MARK_INTERVAL_MS * 3))
    const killed = fs.kill()
    const [active] = await segmentsIn(killed)
    // With 'always' the last commit may be torn; the one before was proven by it. The mark proves it in a process that was killed.
    killed.place(active!, contentOf(killed, active!).subarray(0, -3))
    expect((await verify(killed)).findings).toMatchObject([{ kind: 'corrupt', firstIndex: 3, lastIndex: 3 }])
    killed.remove(`${directory}/mark`)
    const torn = await verify(killed)
    expect(torn).toMatchObject({ ok: false, entries: 2, findings: [{ kind: 'torn', segment: active, firstIndex: 3 }] })
    flipBit(killed, active!, FIRST_COMMIT + 60)
    expect((await verify(killed)).findings[0]).toMatchObject({ kind: 'corrupt', offset: FIRST_COMMIT, firstIndex: 1 })
  })

  it('reads entries of a killed log above the mark without calling them damage', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openWal(directory, { fileSystem: fs, sync: 'never' })
    await wal.appendBatch(['a', 'b'])
    expect(await verify(fs.kill())).toMatchObject({ ok: true, entries: 2 })
  })

  it('finds one bad slot of the manifest, and works without any', async () => {
    for (const [slots, expected] of [
      [[0], 'slot 0 of two'],
      [[1], 'slot 1 of two'],
      [[0, 1], 'both slots'],
    ] as const) {
      const { fs, entries } = await threeSegments()
      for (const slot of slots) flipBit(fs, `${directory}/manifest`, slot * 4096 + 100)
      const report = await verify(fs)
      expect(report.findings).toMatchObject([{ kind: 'manifest', message: expect.stringContaining(expected) }])
      expect(report.entries).toBe(entries.length)
    }
    const { fs } = await threeSegments()
    fs.remove(`${directory}/manifest`)
    expect((await verify(fs)).findings).toMatchObject([{ kind: 'manifest' }])
  })

  it('refuses a directory without a log, and what a later version wrote', async () => {
    const fs = new SimulatedFileSystem()
    await expect(verifyWal('/nothing', { fileSystem: fs })).rejects.toMatchObject({ code: 'WAL_NOT_FOUND' })
    await fs.createDirectory('/empty')
    await expect(verifyWal('/empty', { fileSystem: fs })).rejects.toMatchObject({ code: 'WAL_NOT_FOUND' })
    await expect(inspectWal('/empty', { fileSystem: fs })).rejects.toMatchObject({ code: 'WAL_NOT_FOUND' })
    await expect(verifyWal('/empty', { fileSystems: fs } as object)).rejects.toMatchObject({
      code: 'WAL_INVALID_OPTION',
    })
  })

  it('writes nothing and leaves the lock alone', async () => {
    const { fs } = await threeSegments()
    const before = fs.operations
    await verify(fs)
    await inspectWal(directory, { fileSystem: fs })
    expect(fs.operations).toBe(before)
  })

  it('reads through the page cache where direct I/O cannot be had, and says so', async () => {
    const { fs } = await threeSegments({ supportsDirect: false })
    expect(await verify(fs)).toMatchObject({ ok: true, throughPageCache: true })
  })

  it('sees on the disk what the page cache hides', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openWal(directory, { fileSystem: fs, sync: 'never' })
    await wal.append('lost')
    await wal.append('lost too')
    const killed = fs.kill()
    const [active] = await segmentsIn(killed)
    killed.failWriteBack(active!, { reported: 'nobody' })
    const report = await verify(killed)
    expect(report).toMatchObject({ throughPageCache: false, entries: 0 })
  })

  it('tells of its progress and stops when aborted', async () => {
    const { fs } = await threeSegments()
    const seen: number[] = []
    let total = 0
    await verifyWal(directory, {
      fileSystem: fs,
      onProgress: progress => {
        seen.push(progress.done)
        total = progress.total
      },
    })
    expect(seen.at(-1)).toBe(total)
    expect([...seen].sort((a, b) => a - b)).toEqual(seen)
    const stop = new AbortController()
    const stopped = verifyWal(directory, {
      fileSystem: fs,
      signal: stop.signal,
      onProgress: () => stop.abort(new Error('enough')),
    })
    await expect(stopped).rejects.toThrow('enough')
    await expect(verifyWal(directory, { fileSystem: fs, signal: AbortSignal.abort('no') })).rejects.toBe('no')
  })
})

describe('verifyWal on a real file system', () => {
  it('works beside a writer that appends, rotates and truncates', async () => {
    const path = await realDirectory()
    const wal = await openWal(path, { segmentMaxBytes: 60_000 })
    let stop = false
    const writing = (async () => {
      while (!stop) {
        await wal.appendBatch(Array.from({ length: 20 }, (_, i) => 'x'.repeat(i * 50)))
        if (wal.lastIndex - wal.firstIndex > 2000) await wal.truncateBefore(wal.lastIndex - 500)
      }
    })()
    for (let round = 0; round < 15; round++) {
      expect((await verifyWal(path)).findings).toEqual([])
      const inspection = await inspectWal(path)
      expect(inspection.lockedBy?.pid).toBe(process.pid)
      expect(inspection.lastIndex).toBeLessThanOrEqual(wal.durableIndex)
    }
    stop = true
    await writing
    await wal.close()
    expect(await inspectWal(path)).not.toHaveProperty('lockedBy')
    expect(await verifyWal(path)).toMatchObject({ ok: true })
  })

  it('holds one window in memory, however large the log', async () => {
    const path = await realDirectory()
    const wal = await openWal(path, { sync: 'never', segmentMaxBytes: 256 << 20 })
    const block = Buffer.alloc(1 << 20, 7)
    for (let i = 0; i < 96; i++) await wal.append(block)
    await wal.close()
    const before = process.memoryUsage.rss()
    let peak = before
    const watch = () => {
      peak = Math.max(peak, process.memoryUsage.rss())
    }
    expect(await verifyWal(path, { onProgress: watch })).toMatchObject({ ok: true, entries: 96 })
    expect(peak - before).toBeLessThan(32 << 20)
  })

  it('changes no byte and no time of any file', async () => {
    const path = await realDirectory()
    const wal = await openWal(path)
    await wal.append('kept')
    await wal.close()
    const look = async () =>
      Promise.all(
        (await readdir(path)).sort().map(async name => {
          const { mtimeMs, size } = await stat(join(path, name))
          return [name, mtimeMs, size, (await readFile(join(path, name))).toString('hex')]
        }),
      )
    const before = await look()
    await verifyWal(path)
    await inspectWal(path)
    expect(await look()).toEqual(before)
  })

  it.runIf(existsSync('/proc/self/fd'))('leaves no descriptor open, however it ends', async () => {
    const path = await realDirectory()
    const wal = await openWal(path)
    for (let i = 0; i < 3; i++) {
      await wal.append('x'.repeat(5000))
      await wal.rotate()
    }
    await wal.close()
    const [first] = (await readdir(path)).filter(name => name.endsWith('.wal')).sort()
    await writeFile(join(path, first!), (await readFile(join(path, first!))).fill(1, 5000, 5010))
    const before = readdirSync('/proc/self/fd').length
    for (let round = 0; round < 20; round++) {
      const stop = new AbortController()
      const onProgress = () => stop.abort('stop')
      expect((await verifyWal(path)).ok).toBe(false)
      await expect(verifyWal(path, { signal: stop.signal, onProgress })).rejects.toBe('stop')
      await inspectWal(path)
      await repairWal(path, { strategy: 'salvage' })
      await repairWal(path, {
        strategy: 'salvage',
        dryRun: false,
        output: join(path, '..', `${round}-of-${basename(path)}`),
      })
      directories.push(join(path, '..', `${round}-of-${basename(path)}`))
    }
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before)
  })

  it('names a file in the place of the directory', async () => {
    const path = join(await realDirectory(), 'file')
    await writeFile(path, '')
    await expect(verifyWal(path)).rejects.toMatchObject({ code: 'WAL_IO' })
    await expect(inspectWal(path)).rejects.toMatchObject({ code: 'WAL_IO' })
  })
})

describe('wal.verify', () => {
  it('verifies an open log up to what is committed', async () => {
    const { fs, entries } = await threeSegments()
    const wal = await openSmall(fs)
    await wal.append('more')
    expect(await wal.verify()).toMatchObject({ ok: true, entries: entries.length + 1, findings: [] })
    await wal.truncateAfter(11)
    expect(await wal.verify()).toMatchObject({ ok: true, entries: 11, findings: [] })
    await wal.close()
  })

  it('finds what rots under an open log', async () => {
    const { fs } = await threeSegments()
    const wal = await openSmall(fs)
    const [first] = await segmentsIn(fs)
    flipBit(fs, first!, FIRST_COMMIT + 50)
    flipBit(fs, `${directory}/manifest`, 40)
    const { ok, findings } = await wal.verify()
    expect(ok).toBe(false)
    expect(findings.map(({ kind }) => kind)).toEqual(['manifest', 'corrupt'])
    await wal.close()
  })

  it('is WAL_CLOSED when the log closes meanwhile, and leaves removed segments out', async () => {
    const { fs } = await threeSegments()
    const wal = await openSmall(fs)
    const removing = wal.verify({ onProgress: () => void wal.truncateBefore(9) })
    expect(await removing).toMatchObject({ ok: true })
    const verifying = wal.verify({ onProgress: () => void wal.close() })
    await expect(verifying).rejects.toMatchObject({ code: 'WAL_CLOSED' })
    await wal.close()
    await expect(wal.verify()).rejects.toMatchObject({ code: 'WAL_CLOSED' })
  })

  it('follows the signal, and refuses options it does not know', async () => {
    const { fs } = await threeSegments()
    const wal = await openSmall(fs)
    const stop = new AbortController()
    const verifying = wal.verify({ signal: stop.signal })
    stop.abort('stop')
    await expect(verifying).rejects.toBe('stop')
    await expect(wal.verify({ speed: 1 } as object)).rejects.toMatchObject({ code: 'WAL_INVALID_OPTION' })
    await wal.close()
  })

  it('says nothing of entries whose sync failed', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openWal(directory, { fileSystem: fs, io: 'buffered' })
    await wal.append('kept')
    fs.failNth(1, { filter: ({ kind }) => kind === 'sync' })
    await expect(wal.append('in doubt')).rejects.toMatchObject({ code: 'WAL_FAILED' })
    expect(await wal.verify()).toMatchObject({ ok: true, entries: 1 })
    await wal.close()
  })
})

describe('inspectWal', () => {
  it('tells what a log is, also after a kill', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openWith(directory, { fileSystem: fs, startIndex: 7 }, new ManualClock())
    await wal.append('a' as never)
    await wal.rotate()
    await wal.append('b' as never)
    const image = fs.crashImage({ seed: 1 })
    // The text of a lock whose holder is gone; here that process lives on.
    image.place(`${directory}/lock`, Buffer.alloc(0))
    await wal.close()
    for (const files of [image, fs]) {
      const inspection = await inspectWal(directory, { fileSystem: files })
      expect(inspection).toMatchObject({ format: 'binary', encoding: 'bytes', version: 1, firstIndex: 7, lastIndex: 8 })
      expect(inspection.segments).toMatchObject([
        { firstIndex: 7, lastIndex: 7, entries: 1, sealed: true },
        { firstIndex: 8, lastIndex: 8, entries: 1, sealed: false },
      ])
    }
  })

  it('refuses a damaged log instead of telling half of it', async () => {
    const { fs } = await threeSegments()
    fs.remove((await segmentsIn(fs))[1]!)
    await expect(inspectWal(directory, { fileSystem: fs })).rejects.toMatchObject({
      code: 'WAL_CORRUPT',
      kind: 'missing',
    })
  })
})
