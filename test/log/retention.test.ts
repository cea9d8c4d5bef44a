import { access, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../src/clock.js'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import type { SegmentInfo, Wal, WalOptions } from '../../src/index.js'
import { openWal } from '../../src/index.js'
import { deferred } from '../../src/log/deferred.js'
import { openWith } from '../../src/open.js'
import { ManualClock } from '../helpers/manual-clock.js'
import { turns, until, walError } from '../helpers/waiting.js'

type TestWal = Wal<Buffer, Uint8Array | string>
type Line = { level: string; message: string; [field: string]: unknown }

const HOUR = 3_600_000
const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const wal of open.splice(0)) await wal.close()
})

async function openLog(options: WalOptions, clock: Clock = new ManualClock(), fs = new SimulatedFileSystem()) {
  const lines: Line[] = []
  const log = (level: string) => (fields: object, message?: string) =>
    void lines.push({ ...fields, level, message: message ?? '' })
  const logger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
  const wal = (await openWith('/log', { logger, fileSystem: fs, ...options }, clock)) as unknown as TestWal
  open.push(wal)
  const removed: number[] = []
  wal.on('remove', ({ segment, reason }) => removed.push(reason === 'retention' ? segment.id : -segment.id))
  return { wal, fs, removed, lines }
}

/** Fills segments of two entries each, and leaves the active one empty. */
async function fill(wal: TestWal, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await wal.append('one')
    await wal.append('two')
    await wal.rotate()
  }
}

const ids = (wal: TestWal) => wal.segments().map(segment => segment.id)

describe('retention', () => {
  it('removes at rotation what is beyond the number of segments, and says so', async () => {
    const { wal, fs, removed } = await openLog({ retention: { maxSegments: 3 } })
    const before: SegmentInfo[] = []
    await fill(wal, 1)
    before.push(...wal.segments())
    await fill(wal, 4)
    await until(() => wal.firstIndex === 7)
    await until(() => removed.length === 3)
    expect(ids(wal)).toEqual([4, 5, 6])
    expect(removed).toEqual([1, 2, 3])
    expect(await fs.stat(before[0]?.path ?? '')).toBeUndefined()
    await walError(wal.get(6), 'WAL_TRUNCATED')
    expect((await wal.get(7)).data.toString()).toBe('one')
  })

  it.each([
    ['binary', 12_000],
    ['ndjson', 3000],
  ] as const)('removes by bytes, in %s', async (format, maxBytes) => {
    const { wal } = await openLog({ format, retention: { maxBytes } })
    await fill(wal, 5)
    await until(() => wal.stats().usedBytes <= maxBytes)
    expect(wal.firstIndex).toBeGreaterThan(1)
  })

  it('removes by age from sealing, by its own timer', async () => {
    const clock = new ManualClock()
    const { wal, removed } = await openLog({ retention: { maxAgeMs: HOUR } }, clock)
    await fill(wal, 1)
    clock.advance(HOUR / 2)
    await fill(wal, 1)
    clock.advance(HOUR / 2)
    await turns(50)
    expect(removed).toEqual([])
    for (let i = 0; i < 3; i++) {
      clock.advance(10_000)
      await turns(50)
    }
    expect(removed).toEqual([1])
    expect(ids(wal)).toEqual([2, 3])
  })

  it('removes nothing of a clock set forward, warns once, and goes on once it is set back', async () => {
    const clock = new ManualClock()
    const { wal, removed, lines } = await openLog({ retention: { maxAgeMs: HOUR } }, clock)
    await fill(wal, 2)
    clock.set(24 * HOUR)
    for (let i = 0; i < 5; i++) {
      clock.advance(10_000)
      await turns(50)
    }
    expect(removed).toEqual([])
    expect(lines.filter(line => /time of day/.test(line.message))).toHaveLength(1)
    clock.set(-24 * HOUR)
    clock.advance(2 * HOUR)
    await until(() => removed.length === 2)
  })

  it('takes a segment that was sealed while the clock was wrong for no older than it is', async () => {
    const clock = new ManualClock()
    const { wal, removed } = await openLog({ retention: { maxAgeMs: HOUR } }, clock)
    clock.set(-48 * HOUR)
    await fill(wal, 1)
    clock.set(48 * HOUR)
    clock.advance(HOUR / 2)
    await turns(50)
    expect(removed).toEqual([])
    clock.advance(HOUR)
    await until(() => removed.length === 1)
  })

  it('counts the age across a reopening', async () => {
    const clock = new ManualClock()
    const { wal, fs } = await openLog({ retention: { maxAgeMs: HOUR } }, clock)
    await fill(wal, 2)
    await wal.close()
    clock.advance(2 * HOUR)
    const again = await openLog({ retention: { maxAgeMs: HOUR } }, clock, fs)
    clock.advance(100)
    await until(() => again.removed.length === 2)
    expect(again.wal.firstIndex).toBe(5)
    expect(again.wal.lastIndex).toBe(4)
  })

  it('survives a power cut at every operation of a removal', async () => {
    const fs = new SimulatedFileSystem()
    const { wal, removed } = await openLog({ retention: { maxSegments: 2 } }, new ManualClock(), fs)
    const images: { image: SimulatedFileSystem; acknowledged: number }[] = []
    let acknowledged = 0
    fs.onOperation = () => {
      for (const seed of [0, 1, 7]) images.push({ image: fs.crashImage({ seed }), acknowledged })
    }
    for (let i = 0; i < 3; i++) {
      acknowledged = await wal.append('one')
      await wal.rotate()
    }
    await until(() => removed.length === 2)
    fs.onOperation = undefined
    for (const { image, acknowledged: least } of images) {
      const after = await openWal('/log', { fileSystem: image })
      expect(after.lastIndex).toBeGreaterThanOrEqual(least)
      expect(after.firstIndex).toBeLessThanOrEqual(3)
      for await (const entry of after.replay()) expect(entry.data.toString()).toBe('one')
      await after.close()
    }
    expect(images.length).toBeGreaterThan(30)
  })

  it('removes on a real file system', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'walrus-retention-'))
    try {
      const wal = await openWal(directory, { retention: { maxSegments: 2 } })
      open.push(wal)
      const first = wal.segments()[0]?.path ?? ''
      await fill(wal, 3)
      await until(() => wal.segments().length === 2)
      await until(() => wal.firstIndex === 5)
      await wal.close()
      await expect(access(first)).rejects.toMatchObject({ code: 'ENOENT' })
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})

describe('the archive', () => {
  it('is awaited before a file goes, oldest first', async () => {
    const { promise, resolve } = deferred<void>()
    const archived: number[] = []
    const archive = async (segment: SegmentInfo) => {
      archived.push(segment.id)
      if (segment.id === 1) await promise
    }
    const { wal, fs, removed } = await openLog({ retention: { maxSegments: 1, archive } })
    await fill(wal, 2)
    await until(() => archived.length === 1)
    await turns(50)
    expect({ archived, removed, ids: ids(wal) }).toEqual({ archived: [1], removed: [], ids: [1, 2, 3] })
    expect((await fs.stat(wal.segments()[0]?.path ?? ''))?.kind).toBe('file')
    resolve()
    await until(() => removed.length === 2)
    expect(archived).toEqual([1, 2])
  })

  it('that fails keeps its segment and all behind it, is reported and tried again', async () => {
    const clock = new ManualClock()
    let works = false
    const calls: number[] = []
    const archive = (segment: SegmentInfo) => {
      calls.push(segment.id)
      return works ? Promise.resolve() : Promise.reject(new Error('the bucket is away'))
    }
    const { wal, removed, lines } = await openLog({ retention: { maxSegments: 1, archive } }, clock)
    await fill(wal, 2)
    await until(() => lines.some(line => line.level === 'error'))
    expect(lines.find(line => line.level === 'error')?.['error']).toMatchObject({ message: 'the bucket is away' })
    expect(ids(wal)).toEqual([1, 2, 3])
    works = true
    clock.advance(10_000)
    await until(() => removed.length === 2)
    expect(calls.at(-1)).toBe(2)
  })

  it('under way when the log closes leaves the file where it is', async () => {
    const { promise, resolve } = deferred<void>()
    let started = false
    const archive = () => {
      started = true
      return promise
    }
    const { wal, fs, lines } = await openLog({ retention: { maxSegments: 1, archive } })
    await fill(wal, 1)
    await until(() => started)
    const path = wal.segments()[0]?.path ?? ''
    await wal.close()
    resolve()
    await turns(50)
    expect((await fs.stat(path))?.kind).toBe('file')
    expect(lines.filter(line => line.level === 'error')).toEqual([])
  })
})

describe('retention on a full disk', () => {
  it('frees space and goes on by itself', async () => {
    const clock = new ManualClock()
    const { wal, fs, removed } = await openLog({ retention: { maxAgeMs: HOUR } }, clock)
    await fill(wal, 3)
    fs.capacityBytes = fs.usedBytes
    const held = wal.append('x'.repeat(10_000))
    await until(() => wal.status === 'paused')
    clock.advance(2 * HOUR)
    expect(await held).toBe(7)
    await until(() => removed.length === 3)
    expect(wal.status).toBe('open')
    expect((await wal.get(7)).data).toHaveLength(10_000)
  })
})

describe('options of retention', () => {
  const refused = (retention: unknown) => openWal('/x', { retention } as WalOptions)

  it.each([
    [{ maxSegments: 0 }, 'retention.maxSegments'],
    [{ maxBytes: -1 }, 'retention.maxBytes'],
    [{ maxAgeMs: 1.5 }, 'retention.maxAgeMs'],
    [{ maxHeldBytes: -1 }, 'retention.maxHeldBytes'],
    [{ maxDays: 3 }, 'retention.maxDays'],
  ])('%j is refused by name', async (retention, name) => {
    expect((await walError(refused(retention), 'WAL_INVALID_OPTION')).message).toContain(name)
  })

  it.each([[7], [{ archive: true }], [{ holdForConsumers: 'yes' }], [{ maxSegments: '3' }]])(
    '%j is a type error',
    async retention => {
      await expect(refused(retention)).rejects.toBeInstanceOf(TypeError)
    },
  )
})
