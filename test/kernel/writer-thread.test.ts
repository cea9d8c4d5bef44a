import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, open, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Worker, WorkerOptions } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { openWal } from '../../src/index.js'
import { SimulatedFileSystem } from '../../src/testing.js'
import type { Wal, WalOptions } from '../../src/types.js'
import { until, walError } from '../helpers/waiting.js'

/** Of libuv's pool; nothing here asks for another number. */
const POOL_THREADS = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4)

const seen = vi.hoisted(() => ({
  /** Those that were started since the test began. */
  workers: [] as Worker[],
  ended: new Set<Worker>(),
  /** What starting another one throws. */
  refusal: undefined as Error | undefined,
  /** What is put before the program of the next one. */
  prelude: '',
}))

vi.mock('node:worker_threads', async importOriginal => {
  const original = await importOriginal<typeof import('node:worker_threads')>()
  class Observed extends original.Worker {
    constructor(program: string | URL, options?: WorkerOptions) {
      if (seen.refusal !== undefined) throw seen.refusal
      super(`${seen.prelude};${program}`, options)
      seen.workers.push(this)
      this.once('exit', () => seen.ended.add(this))
    }
  }
  return { ...original, Worker: Observed }
})
const { workers, ended } = seen

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'walrus-thread-'))
  workers.length = 0
  ended.clear()
})
afterEach(() => {
  seen.refusal = undefined
  seen.prelude = ''
  rmSync(root, { recursive: true })
})

type Log = Wal<Buffer, Uint8Array | string>

function openLog(name: string, options: WalOptions = { writerThread: true }): Promise<Log> {
  return openWal(join(root, name), { segmentMaxBytes: 20_000, ...options, encoding: undefined })
}

/** Makes every thread of the pool wait until the returned function is called: each opens a pipe that nobody writes to. */
function blockPool(): () => Promise<void> {
  const pipe = join(root, 'pipe')
  execFileSync('mkfifo', [pipe])
  const opened = Array.from(
    { length: POOL_THREADS },
    () =>
      new Promise<void>((resolve, reject) => {
        open(pipe, 'r', (error, fd) => {
          if (error) return reject(error)
          closeSync(fd)
          resolve()
        })
      }),
  )
  return async () => {
    const writer = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK)
    await Promise.all(opened)
    closeSync(writer)
  }
}

/** Everything that a writer may ask of its log, but for closing it. */
async function useAll(wal: Log): Promise<void> {
  for (let n = 0; n < 20; n++) await wal.append(`one by one ${n}`)
  await wal.appendBatch(Array.from({ length: 100 }, (_, n) => `${n}`.repeat(100)))
  await wal.rotate()
  await wal.appendBatch([Buffer.alloc(3_000_000, 'x'), 'large'])
  await wal.truncateAfter(wal.lastIndex - 1)
  await wal.append('another end')
  await wal.truncateBefore(30)
  await wal.reset(wal.lastIndex + 10)
  await wal.append('anew')
  await wal.sync()
}

const isWindows = process.platform === 'win32'

describe.skipIf(isWindows)('a libuv pool in which every thread is busy', () => {
  test.each<WalOptions>([
    { io: 'direct' },
    { io: 'buffered' },
    { format: 'ndjson' },
    { sync: { intervalMs: 5 } },
    { sync: 'never' },
  ])('does not stall a log that a thread writes: %o', async options => {
    const wal = await openLog('log', { ...options, writerThread: true })
    const release = blockPool()
    try {
      await useAll(wal)
      expect(wal.durableIndex).toBe(wal.lastIndex)
    } finally {
      await release()
    }
    await wal.close()
    await using again = await openLog('log', {})
    expect(again.recoveryReport.clean).toBe(true)
    expect(String((await again.get(again.lastIndex)).data)).toBe('anew')
  })

  test('does stall one that it writes itself: what is tried here can fail', async () => {
    const stalled = await openLog('stalled', {})
    const wal = await openLog('log')
    const release = blockPool()
    let isDone = false
    const append = stalled.append('waits').then(() => (isDone = true))
    for (let n = 0; n < 50; n++) await wal.append('does not')
    expect(isDone).toBe(false)
    await release()
    await append
    await stalled.close()
    await wal.close()
  })
})

describe('the writer thread', () => {
  test('is one for all logs, is there from the first opening to the last closing, and then anew', async () => {
    const plain = await openLog('plain', {})
    expect(workers).toHaveLength(0)
    const logs = await Promise.all(['a', 'b', 'c'].map(name => openLog(name)))
    expect(workers).toHaveLength(1)
    await Promise.all(logs.map(useAll))
    for (const wal of logs) {
      expect(ended.size).toBe(0)
      await wal.close()
    }
    expect(ended.size).toBe(1)
    const again = await openLog('a')
    expect(workers).toHaveLength(2)
    expect(String((await again.get(again.lastIndex)).data)).toBe('anew')
    await again.close()
    await plain.close()
    expect(ended.size).toBe(2)
  })

  test('has another one beside it that syncs, where appends do not wait for syncs', async () => {
    const wal = await openLog('a', { writerThread: true, sync: { intervalMs: 1 } })
    const other = await openLog('b', { writerThread: true, sync: 'never' })
    expect(workers).toHaveLength(2)
    await Promise.all([useAll(wal), useAll(other)])
    await wal.close()
    await other.close()
    expect(ended.size).toBe(2)
  })

  test('goes with an opening that fails', async () => {
    await (await openLog('a', { format: 'ndjson' })).close()
    await walError(openLog('a', { format: 'binary', writerThread: true }), 'WAL_MISMATCH')
    expect([workers.length, ended.size]).toEqual([1, 1])
    await (await openLog('a', {})).close()
  })

  test('that cannot be started refuses the opening and leaves no lock behind', async () => {
    const refusal = new Error('no threads today')
    seen.refusal = refusal
    const error = await walError(openLog('a'), 'WAL_IO')
    expect(error.message).toContain('no threads today')
    expect(error.cause).toBe(refusal)
    seen.refusal = undefined
    await using wal = await openLog('a')
    expect(await wal.append('after all')).toBe(1)
  })

  test.each([
    ['ends at once', 'process.exit(7)', /ended at once/],
    ['throws at once', "throw new Error('not in here')", /not in here/],
    [
      'has open files of its own',
      "require('fs').fstatSync = () => { throw Object.assign(new Error('EBADF: bad file descriptor'), { code: 'EBADF' }) }",
      /do not share open files/,
    ],
  ])('that %s refuses the opening too, and is gone', async (_how, prelude, message) => {
    seen.prelude = prelude
    expect((await walError(openLog('a'), 'WAL_IO')).message).toMatch(message)
    expect([workers.length, ended.size]).toEqual([1, 1])
    seen.prelude = ''
    await using wal = await openLog('a')
    expect(await wal.append('after all')).toBe(1)
  })

  test('that dies in the midst of a write fails the log; what it acknowledged is there', async () => {
    const wal = await openLog('log')
    const other = await openLog('other')
    await wal.append('acknowledged')
    const large = wal.appendBatch(Array.from({ length: 60 }, () => Buffer.alloc(1_000_000, 'x')))
    const next = wal.append('next')
    const failures = Promise.all([walError(large, 'WAL_FAILED'), walError(next, 'WAL_FAILED')])
    await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
    await workers[0]!.terminate()
    expect((await failures)[0].cause).toMatchObject({ message: 'The writer thread has ended' })
    expect(wal.status).toBe('failed')
    await wal.close()

    // The other log finds out when it writes; it has let go of its files all the same.
    await walError(other.append('too late'), 'WAL_FAILED')
    await other.close()

    const again = await openLog('log')
    expect(workers).toHaveLength(2)
    expect(again.lastIndex).toBe(1)
    expect(String((await again.get(1)).data)).toBe('acknowledged')
    expect(await again.append('goes on')).toBe(2)
    await again.close()
    expect(ended.size).toBe(2)
  })

  test('that died is told of when the log is closed', async () => {
    const wal = await openLog('log')
    await wal.append('acknowledged')
    await workers[0]!.terminate()
    await walError(wal.close(), 'WAL_FAILED')
    await using again = await openLog('log')
    expect(again.lastIndex).toBe(1)
  })

  test('writes to the file system of the machine only', async () => {
    const given = { writerThread: true, fileSystem: new SimulatedFileSystem() }
    expect((await walError(openWal('/log', given), 'WAL_INVALID_OPTION')).message).toMatch(/writerThread.*fileSystem/)
    expect(workers).toHaveLength(0)
    const wal = await openWal('/log', { ...given, writerThread: false })
    expect(await wal.append('a')).toBe(1)
    await wal.close()
  })

  test('is nothing a follower or a reader notices', async () => {
    const wal = await openLog('log')
    const tail = wal.tail()
    for (let n = 1; n <= 300; n++) void wal.append(Buffer.alloc(500, n))
    for (let n = 1; n <= 300; n++) {
      const { value } = await tail.next()
      expect(value).toMatchObject({ index: n })
      expect((value as { data: Buffer }).data.equals(Buffer.alloc(500, n))).toBe(true)
      expect((value as { data: Buffer }).data.buffer).toBeInstanceOf(ArrayBuffer)
    }
    expect(wal.getSync(1).data.buffer).toBeInstanceOf(ArrayBuffer)
    await until(() => wal.durableIndex === 300)
    await wal.close()
  })
})
