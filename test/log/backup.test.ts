import { access, link, mkdir, mkdtemp, readdir, rm, stat, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import type { FileSystem } from '../../src/file-system/types.js'
import type { Progress, Wal, WalOptions, WalReader } from '../../src/index.js'
import { openWal } from '../../src/index.js'
import { rejection, until, walError } from '../helpers/waiting.js'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const wal of open.splice(0)) await wal.close()
})

/** The layout that logs are written in; a copy keeps that of its log. */
let format: WalOptions['format'] = 'binary'

async function openLog(directory: string, options: WalOptions = {}) {
  const wal = await openWal(directory, { format, ...options })
  open.push(wal)
  return wal
}

/** Appends `count` entries and seals a segment after every third. */
async function fill(wal: Wal<Buffer, Uint8Array | string>, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const index = await wal.append(`entry ${wal.lastIndex + 1}`)
    if (index % 3 === 0) await wal.rotate()
  }
}

async function contents(wal: WalReader<Buffer>): Promise<string[]> {
  const entries: string[] = []
  for await (const { index, data } of wal.replay()) entries.push(`${index} ${data.toString()}`)
  return entries
}

const expected = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `${from + i} entry ${from + i}`)

/** What a directory of a simulated file system holds. */
const names = async (fs: FileSystem, path: string) => ((await fs.stat(path)) ? (await fs.list(path)).sort() : undefined)

describe.each(['ndjson', 'binary'] as const)('a backup of a log in %s', layout => {
  beforeEach(() => {
    format = layout
  })

  it('opens as a log of its own and holds what was durable', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs })
    await fill(wal, 8)
    const report = await wal.backup('/copy')
    expect(report).toMatchObject({
      directory: '/copy',
      firstIndex: 1,
      lastIndex: 8,
      linkedSegments: 2,
      copiedSegments: 1,
    })
    expect(report.bytes).toBe(wal.stats().usedBytes)
    await fill(wal, 2)
    const copy = await openLog('/copy', { fileSystem: fs })
    expect(copy.recoveryReport.clean).toBe(true)
    expect(await contents(copy)).toEqual(expected(1, 8))
    expect(await names(fs, '/copy.tmp')).toBe(undefined)
  })

  it('of an empty log is an empty log with the same next index', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs, startIndex: 50 })
    expect(await wal.backup('/copy')).toMatchObject({ firstIndex: 50, lastIndex: 49, copiedSegments: 1 })
    const copy = await openLog('/copy', { fileSystem: fs })
    expect(await copy.append('x')).toBe(50)
  })

  it('keeps a first index that was moved, and what truncateAfter left of a batch', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs })
    await wal.appendBatch(Array.from({ length: 9 }, (_, i) => `entry ${i + 1}`))
    await wal.truncateBefore(3)
    await wal.truncateAfter(7)
    await wal.backup('/copy')
    expect(await contents(await openLog('/copy', { fileSystem: fs }))).toEqual(expected(3, 7))
  })

  it.each([{ intervalMs: 3_600_000 }, 'never'] as const)(
    'with sync %j ends at a commit that is durable',
    async sync => {
      const fs = new SimulatedFileSystem()
      const wal = await openLog('/log', { fileSystem: fs, sync })
      await fill(wal, 4)
      await wal.sync()
      await fill(wal, 1)
      expect(wal.durableIndex).toBe(4)
      expect(await wal.backup('/copy')).toMatchObject({ lastIndex: 4 })
      const copy = await openLog('/copy', { fileSystem: fs })
      expect(copy.recoveryReport.clean).toBe(true)
      expect(await contents(copy)).toEqual(expected(1, 4))
    },
  )

  it('reports its progress in bytes', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs })
    await wal.append(Buffer.alloc(3 << 20))
    await fill(wal, 5)
    const seen: Progress[] = []
    const { bytes } = await wal.backup('/copy', { onProgress: progress => seen.push(progress) })
    expect(seen.length).toBeGreaterThan(2)
    expect(seen.at(-1)).toEqual({ done: bytes, total: bytes, unit: 'bytes' })
    expect(seen.map(({ done }) => done)).toEqual(seen.map(({ done }) => done).toSorted((a, b) => a - b))
  })

  it('copies where it cannot link', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs })
    await fill(wal, 8)
    fs.failNth(1, { error: 'EXDEV', sticky: true, filter: ({ kind }) => kind === 'link' })
    expect(await wal.backup('/copy')).toMatchObject({ linkedSegments: 0, copiedSegments: 3 })
    fs.clearFaults()
    expect(await contents(await openLog('/copy', { fileSystem: fs }))).toEqual(expected(1, 8))
  })

  it('takes the checkpoints along', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs })
    await fill(wal, 2)
    await fs.createDirectory('/log/consumers')
    fs.place('/log/consumers/billing', Buffer.alloc(8192, 7))
    await wal.backup('/copy')
    expect(fs.contents('/copy/consumers/billing')).toEqual(Buffer.alloc(8192, 7))
  })

  it('is made while others append, rotate and read', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs })
    await fill(wal, 30)
    let stop = false
    const appending = (async () => {
      while (!stop) await fill(wal, 1)
    })()
    const reports = []
    for (let i = 0; i < 5; i++) reports.push(await wal.backup(`/copy${i}`))
    stop = true
    await appending
    for (const { directory, lastIndex } of reports) {
      const copy = await openLog(directory, { fileSystem: fs })
      expect(await contents(copy)).toEqual(expected(1, lastIndex))
    }
  })

  it('of a paused log holds what is committed', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs })
    await fill(wal, 4)
    fs.capacityBytes = fs.usedBytes
    const held = wal.append(Buffer.alloc(100_000))
    await until(() => wal.status === 'paused')
    await walError(wal.backup('/copy'), 'WAL_NO_SPACE')
    expect(await names(fs, '/copy')).toBe(undefined)
    fs.capacityBytes += 100_000
    const settled = held.catch(() => undefined)
    await wal.backup('/copy')
    expect(await contents(await openLog('/copy', { fileSystem: fs }))).toEqual(expected(1, 4))
    fs.capacityBytes += 1_000_000
    await wal.resume()
    await settled
  })

  it('holds retention until it is done', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs, retention: { maxSegments: 1, maxHeldBytes: 0 } })
    let release = () => {}
    const gate = new Promise<void>(resolve => {
      release = resolve
    })
    fs.slow = ({ kind, path }) => (kind === 'createDirectory' && path === '/copy.tmp' ? gate : undefined)
    const backup = wal.backup('/copy')
    await fill(wal, 7)
    expect(wal.firstIndex).toBe(1)
    release()
    expect(await backup).toMatchObject({ firstIndex: 1, lastIndex: 7 })
    await until(() => wal.firstIndex === 7)
  })
})

describe('a backup that goes on by itself', () => {
  it('begins an epoch with its first write, and not before', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs })
    await fill(wal, 4)
    await wal.backup('/copy')
    const untouched = await openLog('/copy', { fileSystem: fs })
    const before = untouched.segments().length
    await untouched.truncateBefore(2)
    await untouched.close()
    const copy = await openLog('/copy', { fileSystem: fs })
    expect(await copy.append('entry 5')).toBe(5)
    expect(copy.segments().length).toBe(before + 1)
    await copy.close()
    const again = await openLog('/copy', { fileSystem: fs })
    await again.append('entry 6')
    expect(again.segments().length).toBe(before + 1)
    expect(await contents(again)).toEqual(expected(2, 6))
  })

  it.each(['append', 'rotate', 'truncateAfter', 'reset', 'batch'] as const)(
    'can be told from the original: %s first',
    async first => {
      const fs = new SimulatedFileSystem()
      const wal = await openLog('/log', { fileSystem: fs })
      await fill(wal, 5)
      await wal.backup('/copy')
      const copy = await openLog('/copy', { fileSystem: fs })
      if (first === 'append') await copy.append('other')
      if (first === 'batch') await copy.appendBatch(['other', 'more'])
      if (first === 'rotate') await copy.rotate()
      if (first === 'truncateAfter') await copy.truncateAfter(4)
      if (first === 'reset') await copy.reset(6)
      await copy.append('theirs')
      await copy.rotate()
      await copy.append('theirs')
      await wal.truncateAfter(5 - 1)
      await wal.append('ours')
      await wal.rotate()
      await wal.append('ours')
      await wal.close()
      await copy.close()
      // The newest file of the one in the place of the other's: both have left the common epoch, each in its own way.
      const newest = async (directory: string) =>
        (await names(fs, directory))?.filter(name => name.endsWith('.wal')).at(-1)
      const theirs = await newest('/copy')
      fs.place(`/log/${theirs}`, fs.contents(`/copy/${theirs}`))
      await walError(openWal('/log', { fileSystem: fs }), 'WAL_CORRUPT')
    },
  )

  it('pauses when there is no space for that epoch, and goes on with it', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs })
    await fill(wal, 4)
    await wal.backup('/copy')
    const copy = await openLog('/copy', { fileSystem: fs })
    fs.capacityBytes = fs.usedBytes
    const held = copy.append('entry 5')
    await until(() => copy.status === 'paused')
    await walError(copy.append('refused'), 'WAL_NO_SPACE')
    fs.capacityBytes += 1_000_000
    await copy.resume()
    expect(await held).toBe(5)
    await copy.close()
    const again = await openLog('/copy', { fileSystem: fs })
    expect(again.recoveryReport.clean).toBe(true)
    expect(await contents(again)).toEqual(expected(1, 5))
  })

  it('survives a power cut at every operation of its first writes', async () => {
    const origin = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: origin })
    await fill(wal, 4)
    await wal.backup('/copy')
    const images: { image: SimulatedFileSystem; least: number }[] = []
    let least = 4
    const copy = await openLog('/copy', { fileSystem: origin })
    origin.onOperation = () => {
      for (const seed of [0, 1, 5, 9]) images.push({ image: origin.crashImage({ seed }), least })
    }
    for (let i = 5; i <= 7; i++) least = await copy.append(`entry ${i}`)
    origin.onOperation = undefined
    for (const { image, least: acknowledged } of images) {
      const after = await openWal('/copy', { fileSystem: image })
      const found = await contents(after)
      expect(found.length).toBeGreaterThanOrEqual(acknowledged)
      expect(found).toEqual(expected(1, found.length))
      expect(await after.append('more')).toBe(found.length + 1)
      await after.close()
    }
    expect(images.length).toBeGreaterThan(40)
  })
})

describe('a power cut while a backup is written', () => {
  it('leaves a whole backup or none, the log as it was, and room for the next try', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs })
    await fill(wal, 7)
    await fs.createDirectory('/log/consumers')
    fs.place('/log/consumers/billing', Buffer.alloc(8192, 7))
    const images: SimulatedFileSystem[] = []
    fs.onOperation = () => {
      for (const seed of [0, 1, 3, 8]) images.push(fs.crashImage({ seed }))
    }
    await wal.backup('/copy')
    fs.onOperation = undefined
    images.push(fs.crashImage({ seed: 0 }))
    let whole = 0
    for (const image of images) {
      if (await names(image, '/copy')) {
        whole++
        const copy = await openWal('/copy', { fileSystem: image })
        expect(await contents(copy)).toEqual(expected(1, 7))
        await copy.close()
      } else if ((await names(image, '/copy.tmp'))?.some(name => name.endsWith('.wal'))) {
        const manifest = (await image.stat('/copy.tmp/manifest')) !== undefined
        if (!manifest)
          expect((await walError(openWal('/copy.tmp', { fileSystem: image }), 'WAL_CORRUPT')).kind).toBe('manifest')
      }
      const after = await openWal('/log', { fileSystem: image })
      expect(await contents(after)).toEqual(expected(1, 7))
      if (!(await names(image, '/copy'))) await after.backup('/copy')
      await after.close()
      expect(await names(image, '/copy.tmp')).toBe(undefined)
    }
    expect(whole).toBeGreaterThan(0)
    expect(whole).toBeLessThan(images.length)
  })
})

describe('a backup is refused', () => {
  it('where something is already', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs })
    await fs.createDirectory('/copy')
    expect((await walError(wal.backup('/copy'), 'WAL_IO')).message).toContain('is there already')
    expect((await walError(wal.backup('/missing/copy'), 'WAL_IO')).message).toContain('/missing')
  })

  it('where something that is no unfinished backup is in the way', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs })
    await fs.createDirectory('/copy.tmp')
    fs.place('/copy.tmp/thesis.doc', Buffer.from('x'))
    expect((await walError(wal.backup('/copy'), 'WAL_IO')).message).toContain('thesis.doc')
    expect(await names(fs, '/copy.tmp')).toEqual(['thesis.doc'])
  })

  it('while another one is written to the same place', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs })
    const first = wal.backup('/copy')
    expect((await walError(wal.backup('/copy'), 'WAL_IO')).message).toContain('Another backup')
    await first
  })

  it('when a file of it was taken away', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs })
    await fill(wal, 8)
    await wal.backup('/copy')
    const [, second] = (await names(fs, '/copy'))?.filter(name => name.endsWith('.wal')) ?? []
    fs.remove(`/copy/${second}`)
    expect((await walError(openWal('/copy', { fileSystem: fs }), 'WAL_CORRUPT')).kind).toBe('missing')
  })

  it('with arguments that make no sense', async () => {
    const wal = await openLog('/log', { fileSystem: new SimulatedFileSystem() })
    await walError(wal.backup('/copy', { everything: true } as object), 'WAL_INVALID_OPTION')
    expect(await rejection(wal.backup('' as string))).toBeInstanceOf(TypeError)
  })
})

describe('a backup ends early', () => {
  async function slowed() {
    const fs = new SimulatedFileSystem()
    const wal = await openLog('/log', { fileSystem: fs })
    await fill(wal, 8)
    let release = () => {}
    const gate = new Promise<void>(resolve => {
      release = resolve
    })
    let linked = 0
    fs.slow = ({ kind }) => (kind === 'link' && linked++ === 1 ? gate : undefined)
    return { fs, wal, release, reached: () => linked > 1 }
  }

  it('with the reason of the signal, and cleans up', async () => {
    const { fs, wal, release, reached } = await slowed()
    const controller = new AbortController()
    const backup = wal.backup('/copy', { signal: controller.signal })
    backup.catch(() => undefined)
    await until(reached)
    const reason = new Error('enough')
    controller.abort(reason)
    release()
    expect(await rejection(backup)).toBe(reason)
    expect(await names(fs, '/copy')).toBe(undefined)
    expect((await names(fs, '/copy.tmp')) ?? []).toEqual([])
    expect(await rejection(wal.backup('/copy', { signal: controller.signal }))).toBe(reason)
    await wal.backup('/copy')
  })

  it('with WAL_CLOSED, before close resolves', async () => {
    const { fs, wal, release, reached } = await slowed()
    const backup = wal.backup('/copy')
    backup.catch(() => undefined)
    await until(reached)
    const closing = wal.close()
    release()
    await closing
    const operations = fs.operations
    await walError(backup, 'WAL_CLOSED')
    expect(fs.operations).toBe(operations)
    expect(await names(fs, '/copy')).toBe(undefined)
    await walError(wal.backup('/copy'), 'WAL_CLOSED')
  })

  it('with WAL_TRUNCATED when a truncation takes away what is not copied yet', async () => {
    const { wal, release, reached } = await slowed()
    const backup = wal.backup('/copy')
    backup.catch(() => undefined)
    await until(reached)
    await wal.truncateBefore(8)
    release()
    await walError(backup, 'WAL_TRUNCATED')
  })

  it('with the error of a call, at every call, and the log goes on', async () => {
    for (let nth = 1; ; nth++) {
      const fs = new SimulatedFileSystem()
      const wal = await openWal('/log', { fileSystem: fs })
      await fill(wal, 4)
      const fault = fs.failNth(nth, { error: 'EIO', filter: ({ path }) => path.startsWith('/copy') })
      const outcome = await wal.backup('/copy').then(
        () => undefined,
        error => error,
      )
      if (fault.fired === 0) break
      if (outcome !== undefined) {
        expect(outcome).toMatchObject({ code: 'WAL_IO' })
        expect(await wal.append('x')).toBe(5)
        fs.clearFaults()
        if (!(await fs.stat('/copy'))) await wal.backup('/copy')
      }
      await wal.close()
      expect(nth).toBeLessThan(200)
    }
  })
})

describe('a backup on a real file system', () => {
  let directory = ''
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'walrus-backup-'))
  })
  afterEach(() => rm(directory, { recursive: true }))

  it('shares sealed segments with the log, and outlives them there', async () => {
    const wal = await openLog(join(directory, 'log'))
    await fill(wal, 8)
    const report = await wal.backup(join(directory, 'copy'))
    expect(report).toMatchObject({ linkedSegments: 2, copiedSegments: 1 })
    const shared = wal.segments()[0]?.path ?? ''
    expect((await stat(shared)).nlink).toBe(2)
    await wal.truncateBefore(8)
    await expect(access(shared)).rejects.toThrow()
    const copy = await openLog(join(directory, 'copy'))
    expect(await contents(copy)).toEqual(expected(1, 8))
    expect((await readdir(directory)).sort()).toEqual(['copy', 'log'])
  })

  it('clears what an interrupted one left', async () => {
    const wal = await openLog(join(directory, 'log'))
    await fill(wal, 4)
    const left = join(directory, 'copy.tmp')
    await mkdir(join(left, 'consumers'), { recursive: true })
    await writeFile(join(left, 'consumers', 'old'), 'x')
    const segment = wal.segments()[0]?.path ?? ''
    await link(segment, join(left, segment.slice(segment.lastIndexOf('/') + 1)))
    await wal.backup(join(directory, 'copy'))
    expect((await stat(segment)).nlink).toBe(2)
    expect(await contents(await openLog(join(directory, 'copy')))).toEqual(expected(1, 4))
    await unlink(segment)
  })
})
