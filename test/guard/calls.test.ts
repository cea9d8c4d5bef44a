import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openWal } from '../../src/index.js'
import type { Wal, WalOptions } from '../../src/types.js'
import { CountingFileSystem } from './counting-file-system.js'

/*
 * What the log asks of the file system, counted: these numbers are the same on any machine. A bound that is exceeded means that
 * something became dearer; one that is undercut may be lowered.
 */

let directory: string
let counting: CountingFileSystem
let open: Wal<Buffer, Uint8Array | string> | undefined
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'walrus-calls-'))
  counting = new CountingFileSystem()
})
afterEach(async () => {
  await open?.close()
  open = undefined
  rmSync(directory, { recursive: true, force: true })
})

async function openCounted(options: WalOptions = {}): Promise<Wal<Buffer, Uint8Array | string>> {
  counting.clear()
  open = await openWal(directory, { fileSystem: counting.fileSystem, ...options })
  return open
}

async function closed(): Promise<void> {
  await open?.close()
  open = undefined
}

const entry = Buffer.alloc(256, 'x')
const batchOf = (count: number) => Array.from({ length: count }, () => entry)
const WRITES = /^write segment/
const SYNCS = /^sync segment/

describe('a commit', () => {
  it.each(['buffered', 'auto'] as const)(
    'of one append is one write, and a sync where writes are buffered: io %s',
    async io => {
      const wal = await openCounted({ io })
      const syncs = wal.stats().io === 'direct' ? 0 : 1
      await wal.append('the first clears a flag in the manifest')
      counting.clear()
      for (let i = 0; i < 20; i++) await wal.append(entry)
      expect([counting.calls(WRITES), counting.calls(SYNCS)]).toEqual([20, 20 * syncs])
      expect(counting.calls(/manifest|syncDirectory|open|rename|truncate/), counting.toString()).toBe(0)
    },
  )

  it('carries what many ask for at once', async () => {
    const wal = await openCounted({ io: 'buffered' })
    await wal.append('first')
    counting.clear()
    await Promise.all(Array.from({ length: 1000 }, () => wal.append(entry)))
    expect(counting.calls(WRITES), counting.toString()).toBeLessThanOrEqual(2)
    expect(counting.calls(SYNCS), counting.toString()).toBeLessThanOrEqual(2)
  })

  it('comes with a mark for other processes every ten milliseconds at most', async () => {
    const wal = await openCounted()
    counting.clear()
    const started = performance.now()
    for (let i = 0; i < 300; i++) await wal.append(entry)
    const marks = counting.calls(/^write mark/)
    expect(marks).toBeLessThanOrEqual((performance.now() - started) / 10 + 1)
    expect(counting.calls(/^sync mark/)).toBe(0)
  })
})

describe('a rotation', () => {
  it('costs the same whether the log has few segments or many', async () => {
    const wal = await openCounted()
    const costs: number[] = []
    for (let i = 0; i < 60; i++) {
      await wal.append(entry)
      counting.clear()
      await wal.rotate()
      costs.push(counting.calls(/^(?!.*mark)/))
    }
    expect(new Set(costs.slice(1)).size).toBe(1)
    // Look for a leftover; create, header, sync, close; rename, sync of the directory; open, close what was; manifest, sync.
    expect(costs[1], counting.toString()).toBeLessThanOrEqual(11)
  })
})

describe('an opening', () => {
  async function costOfOpening(segments: number): Promise<number> {
    const wal = await openCounted()
    for (let i = 0; i < segments; i++) {
      await wal.append(entry)
      await wal.rotate()
    }
    await closed()
    await openCounted()
    const cost = counting.calls(/^(?!.*mark)/)
    await closed()
    rmSync(directory, { recursive: true })
    return cost
  }

  it('asks three things of a sealed segment: to be opened, read once, and closed', async () => {
    const [few, many] = [await costOfOpening(10), await costOfOpening(50)]
    expect(many - few).toBe(40 * 3)
    expect(few - 10 * 3).toBeLessThanOrEqual(30)
  })

  it('after a crash reads the unfinished segment once, and no other, beside their headers', async () => {
    const wal = await openCounted({ segmentMaxBytes: 8 << 20 })
    for (let i = 0; i < 60; i++) await wal.appendBatch(batchOf(1000))
    const { bytes } = wal.segments().at(-1)!
    const sealed = wal.segments().length - 1
    const copy = await crashCopy(directory)
    await closed()
    directory = copy
    await openCounted({ segmentMaxBytes: 8 << 20 })
    expect(open?.recoveryReport.clean).toBe(false)
    // Windows begin with a commit, so those that a window cut are read twice in part; then come the last commits, to be copied.
    const headers = (sealed + 1) * 4096
    expect(counting.bytes(/^read\w* segment/) - headers, counting.toString()).toBeLessThan(bytes * 2.2)
    expect(counting.calls(/^read segment/)).toBe(0)
    expect(counting.calls(/^(sync|syncDirectory) /), counting.toString()).toBeLessThanOrEqual(6)
  })

  it('of much that is unfinished lets the event loop turn meanwhile', async () => {
    const wal = await openCounted()
    for (let i = 0; i < 130; i++) await wal.appendBatch(batchOf(1000))
    const copy = await crashCopy(directory)
    await closed()
    directory = copy
    let turns = 0
    let longest = 0
    let before = 0
    const watch = () => {
      turns++
      const read = counting.bytes(/^readSync segment/)
      longest = Math.max(longest, read - before)
      before = read
      if (open === undefined) setImmediate(watch)
    }
    setImmediate(watch)
    await openCounted()
    expect(turns).toBeGreaterThan(0)
    expect(longest).toBeGreaterThan(1 << 20)
    expect(longest).toBeLessThan(20 << 20)
  })
})

describe('reading', () => {
  it('an entry by its index is one read, of no more than it needs', async () => {
    const wal = await openCounted()
    await wal.appendBatch(batchOf(5000))
    await wal.rotate()
    await wal.append('last')
    wal.getSync(1)
    counting.clear()
    for (let index = 1; index <= 100; index++) wal.getSync(index * 40)
    for (let index = 1; index <= 100; index++) await wal.get(index * 40)
    expect(counting.calls(/ segment$/), counting.toString()).toBeLessThanOrEqual(200)
    expect(counting.bytes(/ segment$/)).toBeLessThanOrEqual(200 * 1024)
  })

  it('the log in order is little more than one read a megabyte', async () => {
    const wal = await openCounted()
    for (let i = 0; i < 40; i++) await wal.appendBatch(batchOf(1000))
    await wal.rotate()
    const mebibytes = (40_000 * 288) / (1 << 20)
    counting.clear()
    let read = 0
    for await (const chunk of wal.replay().chunks()) read += chunk.length
    expect(read).toBe(40_000)
    expect(counting.calls(/ segment$/), counting.toString()).toBeLessThan(mebibytes * 2)
    expect(counting.bytes(/ segment$/)).toBeLessThan(mebibytes * 1.7 * (1 << 20))
  })
})

/** The directory as it would be if the process were killed now. */
async function crashCopy(of: string): Promise<string> {
  const { cp } = await import('node:fs/promises')
  const copy = mkdtempSync(join(tmpdir(), 'walrus-calls-'))
  for (const name of readdirSync(of)) if (name !== 'lock') await cp(join(of, name), join(copy, name))
  rmSync(of, { recursive: true, force: true })
  return copy
}
