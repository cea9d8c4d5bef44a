import { afterEach, describe, expect, it } from 'vitest'
import { type Clock, systemClock } from '../../src/clock.js'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import type { File, FileSystem } from '../../src/file-system/types.js'
import { follow } from '../../src/follow.js'
import type { Wal } from '../../src/index.js'
import { openWal } from '../../src/index.js'
import { ManualClock } from '../helpers/manual-clock.js'
import { turns, until, walError } from '../helpers/waiting.js'

const open: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const wal of open.splice(0).reverse()) await wal.close()
})

async function write(fs: SimulatedFileSystem, directory = '/log') {
  const wal = await openWal(directory, { fileSystem: fs })
  open.push(wal)
  return wal
}

async function followed(fileSystem: FileSystem, clock: Clock = systemClock) {
  const found = await follow('/log', { fileSystem, pollIntervalMs: 5 }, clock)
  open.push(found.wal)
  return found
}

async function fill(wal: Wal<Buffer, string>, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await wal.append(`entry ${wal.lastIndex + 1}`)
}

async function replayed(wal: { replay(): AsyncIterable<{ data: unknown }> }): Promise<string[]> {
  const found: string[] = []
  for await (const { data } of wal.replay()) found.push(String(data))
  return found
}

/** A page cache that shows something else than the disk: reads of segments that go through it come back with a flipped bit. */
function withStaleCache(fs: SimulatedFileSystem, isStale: () => boolean): FileSystem {
  const open = async (path: string, mode: 'read', options?: { direct?: boolean }): Promise<File> => {
    const file = await fs.open(path, mode, options)
    if (options?.direct || !path.endsWith('.wal')) return file
    const read: File['read'] = async (buffer, offset, length, position) => {
      const count = await file.read(buffer, offset, length, position)
      const at = offset + 4096 + 90 - position
      if (isStale() && at >= offset && at < offset + count) buffer[at] = (buffer[at] as number) ^ 1
      return count
    }
    return Object.assign(Object.create(file), {
      read,
      size: () => file.size(),
      close: () => file.close(),
      closeSync: () => file.closeSync(),
    })
  }
  return new Proxy(fs as unknown as FileSystem, {
    get: (_, name) => (name === 'open' ? open : Reflect.get(fs, name)?.bind?.(fs)),
  })
}

describe('a follower that reads something bad below the bound', () => {
  it('reads it again before it believes it', async () => {
    const fs = new SimulatedFileSystem()
    await fill(await write(fs), 3)
    let reads = 0
    const { wal } = await followed(withStaleCache(fs, () => ++reads <= 2))
    await wal.waitForCommit(3)
    expect(await replayed(wal)).toEqual(['entry 1', 'entry 2', 'entry 3'])
    expect(reads).toBeGreaterThan(2)
  })

  it('reads around the page cache in the end', async () => {
    const fs = new SimulatedFileSystem()
    await fill(await write(fs), 3)
    const fileSystem = withStaleCache(fs, () => true)
    const { wal } = await followed(fileSystem)
    await wal.waitForCommit(3)
    expect(await replayed(wal)).toEqual(['entry 1', 'entry 2', 'entry 3'])
    const { wal: other } = await followed(fileSystem)
    expect((await other.get(1)).data).toEqual(Buffer.from('entry 1'))
  })

  it('reports what is damaged, with its place', async () => {
    const fs = new SimulatedFileSystem()
    const writer = await write(fs)
    await fill(writer, 3)
    const { wal } = await followed(fs)
    await wal.waitForCommit(3)
    const path = writer.segments()[0]?.path ?? ''
    const bytes = fs.contents(path)
    bytes[4096 + 90] = (bytes[4096 + 90] as number) ^ 1
    fs.place(path, bytes)
    expect(await walError(replayed(wal), 'WAL_CORRUPT')).toMatchObject({ segment: path, firstIndex: 1, lastIndex: 3 })
    expect(await walError(wal.get(1), 'WAL_CORRUPT')).toMatchObject({ segment: path, index: 1 })
    expect(wal.status).toBe('open')
  })
})

describe('a follower that cannot read the log any more', () => {
  it('waits for a while, and goes on', async () => {
    const fs = new SimulatedFileSystem()
    const writer = await write(fs)
    await fill(writer, 1)
    const { wal } = await followed(fs)
    await wal.waitForCommit(1)
    const fault = fs.failNth(1, {
      error: 'EIO',
      sticky: true,
      filter: ({ path, kind }) => kind === 'open' && path === '/log/manifest',
    })
    await until(() => fault.fired > 3)
    expect(wal.status).toBe('open')
    await fill(writer, 1)
    fs.clearFaults()
    await wal.waitForCommit(2)
  })

  it('fails after that, and tells everybody', async () => {
    const fs = new SimulatedFileSystem()
    const writer = await write(fs)
    await fill(writer, 2)
    const clock = new ManualClock()
    const { wal, log } = await followed(fs, clock)
    while (wal.lastIndex < 2) await Promise.all([log.refresh(), turns(1)])
    const failures: unknown[] = []
    wal.on('fail', ({ error }) => failures.push(error))
    const tail = wal.tail(2)
    await tail.next()
    const next = tail.next()
    const waiting = wal.waitForCommit(3)
    for (const promise of [next, waiting]) promise.catch(() => undefined)
    await until(() => clock.delays().includes(Number.POSITIVE_INFINITY))
    fs.failNth(1, { error: 'EIO', sticky: true, filter: ({ path }) => path === '/log/manifest' })
    await log.refresh()
    clock.advance(10_000)
    await until(() => wal.status === 'failed')
    await walError(next, 'WAL_IO')
    await walError(waiting, 'WAL_IO')
    await until(() => failures.length === 1)
    expect(clock.delays()).toEqual([])
    expect((await wal.get(1)).data).toEqual(Buffer.from('entry 1'))
  })

  it('says at once that another log lies there now', async () => {
    const fs = new SimulatedFileSystem()
    const writer = await write(fs)
    await fill(writer, 2)
    const other = await write(fs, '/other')
    await fill(other, 3)
    const { wal, log } = await followed(fs)
    await log.refresh()
    await writer.close()
    await fs.rename('/log', '/gone')
    await other.close()
    await fs.rename('/other', '/log')
    await until(() => wal.status === 'failed')
    expect(log.failure).toMatchObject({ code: 'WAL_CORRUPT', kind: 'foreign' })
  })
})
