import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import type { FollowOptions, Wal, WalOptions, WalReader } from '../../src/index.js'
import { followWal, json, openWal, text } from '../../src/index.js'
import { until, walError } from '../helpers/waiting.js'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const wal of open.splice(0).reverse()) await wal.close()
})

type Writer = Wal<string, string>

/** The layout that logs are written in. */
let format: WalOptions['format'] = 'binary'

async function write(fs: SimulatedFileSystem, options: WalOptions = {}): Promise<Writer> {
  const wal = await openWal('/log', { encoding: text(), fileSystem: fs, format, ...options })
  open.push(wal)
  return wal
}

async function follow(fs: SimulatedFileSystem, options: FollowOptions = {}): Promise<WalReader<string>> {
  const wal = await followWal('/log', { encoding: text(), fileSystem: fs, pollIntervalMs: 5, ...options })
  open.push(wal)
  return wal
}

async function fill(wal: Writer, count: number, rotateEvery = 3): Promise<void> {
  for (let i = 0; i < count; i++) {
    const index = await wal.append(`entry ${wal.lastIndex + 1}`)
    if (index % rotateEvery === 0) await wal.rotate()
  }
}

const expected = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `entry ${from + i}`)
const replayed = async (wal: WalReader<string>) => {
  const data: string[] = []
  for await (const entry of wal.replay()) data.push(entry.data)
  return data
}

/** Takes entries from a tail as they come. */
function collect(wal: WalReader<string>, options: Parameters<WalReader<string>['tail']>[0] = {}) {
  const seen: string[] = []
  const indexes: number[] = []
  const cursor = wal.tail(options as object)
  const ended = (async () => {
    for await (const { index, data } of cursor) {
      seen.push(data)
      indexes.push(index)
    }
  })()
  ended.catch(() => undefined)
  return { seen, indexes, ended, cursor }
}

describe.each(['ndjson', 'binary'] as const)('a follower of a log in %s', layout => {
  beforeEach(() => {
    format = layout
  })

  it('shows what is durable, and what becomes so', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await write(fs)
    await fill(wal, 7)
    const follower = await follow(fs)
    await follower.waitForCommit(7)
    expect(follower).toMatchObject({ firstIndex: 1, lastIndex: 7, committedIndex: 7, durableIndex: 7, status: 'open' })
    expect(await replayed(follower)).toEqual(expected(1, 7))
    const tail = collect(follower)
    await fill(wal, 20)
    await until(() => tail.seen.length === 27)
    expect(tail.seen).toEqual(expected(1, 27))
    expect((await follower.get(26)).data).toBe('entry 26')
    expect((await follower.get(27)).data).toBe('entry 27')
    expect(follower.getSync(13).data).toBe('entry 13')
    expect(follower.segments().length).toBe(wal.segments().length)
  })

  it.each([{ intervalMs: 3_600_000 }, 'never'] as const)(
    'with sync %j shows nothing before it is synced',
    async sync => {
      const fs = new SimulatedFileSystem()
      const wal = await write(fs, { sync })
      await fill(wal, 2)
      const follower = await follow(fs)
      await new Promise(resolve => setTimeout(resolve, 60))
      expect(follower.lastIndex).toBe(0)
      await wal.sync()
      await follower.waitForDurable(2)
      expect(follower.lastIndex).toBe(2)
    },
  )

  it('changes and syncs nothing', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await write(fs)
    await fill(wal, 8)
    await new Promise(resolve => setTimeout(resolve, 50))
    const operations = fs.operations
    const follower = await follow(fs)
    const tail = collect(follower)
    await until(() => tail.seen.length === 8)
    await follower.get(3)
    expect((await follower.verify()).ok).toBe(true)
    await follower.close()
    await tail.ended
    expect(fs.operations).toBe(operations)
  })

  it('has no member that writes', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await write(fs)
    const follower = (await follow(fs)) as unknown as Record<string, unknown>
    const writing = [
      'append',
      'submit',
      'appendBatch',
      'transaction',
      'truncateBefore',
      'truncateAfter',
      'reset',
      'rotate',
      'backup',
      'sync',
      'resume',
      'writable',
      'transform',
    ]
    for (const name of writing) {
      expect((wal as unknown as Record<string, unknown>)[name], name).toBeTypeOf('function')
      expect(follower[name], name).toBeUndefined()
    }
  })

  it('waits for a from beyond the end', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await write(fs)
    await fill(wal, 2)
    const follower = await follow(fs)
    const tail = collect(follower, { from: 9 })
    await fill(wal, 9)
    await until(() => tail.seen.length === 3)
    expect(tail.seen).toEqual(expected(9, 11))
    await walError(follower.get(12), 'WAL_INDEX_OUT_OF_RANGE')
  })

  it('finds entries by time, in the newest segment too', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await write(fs)
    for (let i = 1; i <= 8; i++) {
      await wal.append(`entry ${i}`, { timestamp: i * 1000 })
      if (i % 3 === 0) await wal.rotate()
    }
    const follower = await follow(fs)
    await follower.waitForCommit(8)
    const tail = collect(follower, { from: { timestamp: 7500 } })
    await until(() => tail.seen.length === 1)
    expect(tail.seen).toEqual(['entry 8'])
    expect(follower.segments().at(-1)).not.toHaveProperty('firstTimestamp')
  })

  it('sees truncateBefore and retention; a cursor behind them is told', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await write(fs)
    await fill(wal, 8)
    const follower = await follow(fs)
    await follower.waitForCommit(8)
    const slow = follower.tail({ from: 2, chunkMaxBytes: 1 })
    expect((await slow.next()).value?.index).toBe(2)
    await wal.truncateBefore(5)
    await until(() => follower.firstIndex === 5)
    // What it has in hand it may still give.
    const rest = (async () => {
      for await (const { index } of slow) expect(index).toBe(3)
    })()
    expect(await walError(rest, 'WAL_TRUNCATED')).toMatchObject({ lost: 'before', firstIndex: 4 })
    expect(await replayed(follower)).toEqual(expected(5, 8))
    await walError(follower.get(4), 'WAL_TRUNCATED')
  })

  it('reads a segment that the writer has just removed as removed', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await write(fs)
    await fill(wal, 8)
    const follower = await follow(fs, { pollIntervalMs: 3_600_000 })
    await wal.truncateBefore(7)
    expect(follower.firstIndex).toBe(1)
    expect(
      (
        await walError(
          Promise.resolve().then(() => follower.getSync(2)),
          'WAL_TRUNCATED',
        )
      ).lost,
    ).toBe('before')
    expect((await walError(follower.get(2), 'WAL_TRUNCATED')).lost).toBe('before')
    expect(follower.firstIndex).toBe(7)
  })

  it('sees truncateAfter; a cursor that has handed out more is told, others go on', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await write(fs)
    await fill(wal, 8)
    const follower = await follow(fs)
    await follower.waitForCommit(8)
    const ahead = collect(follower)
    await until(() => ahead.seen.length === 8)
    const behind = follower.tail({ chunkMaxBytes: 1 })
    for (let i = 1; i <= 4; i++) expect((await behind.next()).value?.index).toBe(i)
    const waiting = collect(follower, { from: 12 })
    const truncated: object[] = []
    follower.on('truncate', event => truncated.push(event))
    await wal.truncateAfter(5)
    for (let i = 6; i <= 12; i++) await wal.append(`new ${i}`)
    expect(await walError(ahead.ended, 'WAL_TRUNCATED')).toMatchObject({ lost: 'after', firstIndex: 6 })
    const rest: (string | undefined)[] = []
    for (let i = 5; i <= 12; i++) rest.push((await behind.next()).value?.data)
    expect(rest).toEqual(['entry 5', 'new 6', 'new 7', 'new 8', 'new 9', 'new 10', 'new 11', 'new 12'])
    await until(() => waiting.seen.length === 1)
    expect(waiting.seen).toEqual(['new 12'])
    expect(truncated).toContainEqual({ firstIndex: 1, lastIndex: 5, side: 'after' })
  })

  it('sees reset', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await write(fs)
    await fill(wal, 5)
    const follower = await follow(fs)
    await follower.waitForCommit(5)
    const tail = collect(follower)
    await until(() => tail.seen.length === 5)
    await wal.reset(100)
    await wal.append('entry 100')
    await follower.waitForCommit(100)
    expect(follower).toMatchObject({ firstIndex: 100, lastIndex: 100 })
    expect(await walError(tail.ended, 'WAL_TRUNCATED')).toMatchObject({ lost: 'before' })
    await wal.reset(50)
    await until(() => follower.lastIndex === 49)
    expect(follower.firstIndex).toBe(50)
  })

  it('goes on over a close and a reopening of the writer', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await write(fs)
    await fill(wal, 4)
    const follower = await follow(fs)
    const tail = collect(follower)
    await wal.close()
    const again = await write(fs)
    await fill(again, 4)
    await until(() => tail.seen.length === 8)
    expect(tail.seen).toEqual(expected(1, 8))
  })

  it('reads any encoding as bytes, and refuses another one', async () => {
    const fs = new SimulatedFileSystem()
    await (await write(fs)).append('hello')
    const raw = await followWal('/log', { fileSystem: fs })
    open.push(raw)
    await raw.waitForCommit(1)
    expect((await raw.get(1)).data).toEqual(Buffer.from('hello'))
    await walError(followWal('/log', { fileSystem: fs, encoding: json() }), 'WAL_MISMATCH')
  })

  it('ends its readers when it is closed', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await write(fs)
    await fill(wal, 3)
    const follower = await follow(fs)
    await follower.waitForCommit(3)
    const tail = collect(follower)
    await until(() => tail.seen.length === 3)
    const waiting = follower.waitForCommit(4)
    waiting.catch(() => undefined)
    await follower.close()
    await tail.ended
    await walError(waiting, 'WAL_CLOSED')
    await walError(follower.get(1), 'WAL_CLOSED')
    expect(follower.status).toBe('closed')
    await follower.close()
  })
})

describe('a consumer of a follower', () => {
  it('keeps its checkpoint in a directory of its own, and goes on from there', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await write(fs)
    await fill(wal, 5)
    await fs.createDirectory('/mine')
    const before = (await fs.list('/log')).sort()
    const first = await follow(fs)
    await first.waitForCommit(5)
    const seen: number[] = []
    const consumer = first.consumer('billing', { directory: '/mine' })
    const stop = new AbortController()
    const running = consumer.run(
      entries => {
        for (const { index } of entries) seen.push(index)
        if (seen.length >= 5) stop.abort()
      },
      { signal: stop.signal },
    )
    await running.catch(() => undefined)
    await first.close()
    expect(seen).toEqual([1, 2, 3, 4, 5])
    await fill(wal, 2)
    const second = await follow(fs)
    await second.waitForCommit(7)
    for await (const chunk of second.consumer('billing', { directory: '/mine' }).chunks()) {
      for (const { index } of chunk) seen.push(index)
      if (seen.length >= 7) break
    }
    await second.close()
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect((await fs.list('/log')).sort().filter(name => !name.endsWith('.wal'))).toEqual(
      before.filter(name => !name.endsWith('.wal')),
    )
    expect(await fs.list('/mine')).toContain('billing')
  })

  it('needs that directory', async () => {
    const fs = new SimulatedFileSystem()
    await write(fs)
    const follower = await follow(fs)
    expect(() => follower.consumer('billing')).toThrow(/directory/)
  })
})

describe('followWal refuses', () => {
  it('what is no log, or not yet', async () => {
    const fs = new SimulatedFileSystem()
    await walError(followWal('/log', { fileSystem: fs }), 'WAL_NOT_FOUND')
    await fs.createDirectory('/log')
    await walError(followWal('/log', { fileSystem: fs }), 'WAL_NOT_FOUND')
    await expect(followWal('')).rejects.toBeInstanceOf(TypeError)
  })

  it.each([[{ pollIntervalMs: 0 }], [{ sync: 'always' }], [{ pollingMs: 3 }], [{ startIndex: 5 }]])(
    'the options %j',
    async options => {
      await walError(followWal('/log', options as FollowOptions & { encoding?: undefined }), 'WAL_INVALID_OPTION')
    },
  )
})
