import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeFileSystem } from '../../src/file-system/node.js'
import type { FileSystem } from '../../src/file-system/types.js'
import { HandOver, type Reply, type Request, type Thread } from '../../src/file-system/writer-thread/hand-over.js'
import { Ring } from '../../src/file-system/writer-thread/ring.js'
import { threadCalls } from '../../src/file-system/writer-thread/thread-calls.js'
import { fileSystemConformance } from './conformance.js'

const PAGE = 4096

fileSystemConformance(
  'nodeFileSystem by its writer thread',
  { direct: process.platform === 'linux', aligns: true },
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'walrus-thread-'))
    const { fs, leave } = await nodeFileSystem.writerThread!({ syncsAside: false })
    return {
      fs,
      directory,
      placeOther: async path => symlinkSync('/etc/passwd', path),
      async tearDown() {
        await leave()
        rmSync(directory, { recursive: true })
      },
    }
  },
)

describe('the writer thread', () => {
  test("its errors are Node's own, but for the stack", async () => {
    const directory = mkdtempSync(join(tmpdir(), 'walrus-thread-'))
    const { fs, leave } = await nodeFileSystem.writerThread!({ syncsAside: true })
    const at = (name: string) => join(directory, name)
    const told = async (call: Promise<unknown>) => {
      const error = await call.then(
        () => expect.unreachable(),
        (error: NodeJS.ErrnoException) => error,
      )
      return { ...error, message: error.message, isError: error instanceof Error }
    }
    const failing: ((fs: FileSystem) => Promise<unknown>)[] = [
      fs => fs.open(at('missing'), 'read'),
      fs => fs.open(at('nowhere/file'), 'create'),
      fs => fs.rename(at('missing'), at('other')),
      fs => fs.unlink(directory),
      fs => fs.syncDirectory(at('missing')),
      fs => fs.stat(`${directory}/${'x'.repeat(300)}`),
      async fs => {
        const file = await fs.open('/proc/self/status', 'read')
        await file.sync().finally(() => file.close())
      },
      async fs => {
        const file = await fs.open('/proc/self/status', 'read')
        await file.write(Buffer.alloc(1), 0, 1, 0).finally(() => file.close())
      },
    ]
    for (const call of failing) expect(await told(call(fs))).toEqual(await told(call(nodeFileSystem)))
    await leave()
    rmSync(directory, { recursive: true })
  })
})

/** A thread whose calls are answered when the test says so. */
class HeldThread implements Thread {
  readonly memory = Buffer.alloc(4 * PAGE)
  readonly sent: Request[] = []
  isAlive = false
  keepAlive(yes: boolean): void {
    this.isAlive = yes
  }
  send(request: Request): void {
    this.sent.push(request)
  }
}

function held() {
  const thread = new HeldThread()
  const handOver = new HandOver(thread)
  const ended: unknown[] = []
  const done = (error: Error | null, value?: unknown) => ended.push(error ?? value)
  const reply = (value: unknown) => handOver.settle({ value } as Reply)
  return { thread, handOver, ended, done, reply }
}

const names = (thread: HeldThread) => thread.sent.map(({ name, args }) => `${name} ${args[0]}`)

describe('handing over', () => {
  test('calls are sent at once, in order, and settle in that order', () => {
    const { thread, handOver, ended, done, reply } = held()
    handOver.call('fdatasync', [1], done)
    handOver.write(2, [Buffer.from('tw'), Buffer.from('o')], 7, done)
    handOver.call('close', [3], done)
    expect(thread.sent).toEqual([
      { name: 'fdatasync', args: [1] },
      { name: 'write', args: [2, 0, 3, 7] },
      { name: 'close', args: [3] },
    ])
    expect(thread.memory.toString('latin1', 0, 3)).toBe('two')
    reply(undefined)
    reply(3)
    expect(ended).toEqual([undefined, 3])
  })

  test('the process is kept alive while a call is under way, and no longer', () => {
    const { thread, handOver, done, reply } = held()
    expect(thread.isAlive).toBe(false)
    handOver.call('close', [1], done)
    handOver.call('close', [2], done)
    reply(undefined)
    expect(thread.isAlive).toBe(true)
    reply(undefined)
    expect(thread.isAlive).toBe(false)
  })

  test('bytes for which there is no room wait, and so does everything behind them', () => {
    const { thread, handOver, done, reply } = held()
    for (const fd of [1, 2, 3]) handOver.write(fd, [Buffer.alloc(2 * PAGE, fd)], 0, done)
    handOver.call('close', [4], done)
    expect(names(thread)).toEqual(['write 1', 'write 2'])
    reply(2 * PAGE)
    expect(names(thread)).toEqual(['write 1', 'write 2', 'write 3', 'close 4'])
    expect(thread.memory).toEqual(Buffer.concat([Buffer.alloc(2 * PAGE, 3), Buffer.alloc(2 * PAGE, 2)]))
  })

  test('half the memory is the most that is written or read at a time, in whole blocks', () => {
    const { thread, handOver, done } = held()
    handOver.write(1, [Buffer.alloc(PAGE, 1), Buffer.alloc(2 * PAGE, 2)], 0, done)
    handOver.read(1, Buffer.alloc(3 * PAGE), 0, done)
    expect(thread.sent.map(({ args }) => args[2])).toEqual([2 * PAGE, 2 * PAGE])
    expect(thread.memory.subarray(0, 2 * PAGE)).toEqual(Buffer.concat([Buffer.alloc(PAGE, 1), Buffer.alloc(PAGE, 2)]))
  })

  test('what is read comes into the buffer it was asked for, and not a byte more', () => {
    const { thread, handOver, ended, done, reply } = held()
    const buffer = Buffer.from('..........')
    handOver.read(1, buffer.subarray(2, 8), 0, done)
    thread.memory.write('hello world')
    reply(5)
    expect(buffer.toString()).toBe('..hello...')
    expect(ended).toEqual([5])
  })

  test('an error carries all that was told of it', () => {
    const { handOver, ended, done } = held()
    handOver.call('close', [1], done)
    handOver.settle({ error: { message: 'ENOSPC: no space', errno: -28, code: 'ENOSPC' } } as Reply)
    expect(ended).toEqual([Object.assign(new Error('ENOSPC: no space'), { errno: -28, code: 'ENOSPC' })])
  })

  test('once the thread has ended every call fails: under way, waiting for room, and later', async () => {
    const { thread, handOver, ended, done } = held()
    handOver.write(1, [Buffer.alloc(2 * PAGE)], 0, done)
    handOver.write(2, [Buffer.alloc(2 * PAGE)], 0, done)
    handOver.write(3, [Buffer.alloc(2 * PAGE)], 0, done)
    handOver.call('close', [4], done)
    const cause = new Error('out of memory')
    handOver.end(cause)
    const failure = new Error('The writer thread has ended', { cause })
    expect(ended).toEqual(Array(4).fill(failure))
    expect(new Set(ended).size).toBe(4)
    handOver.call('close', [5], done)
    expect(ended).toHaveLength(4)
    await new Promise(resolve => setImmediate(resolve))
    expect(ended).toEqual(Array(5).fill(failure))
    expect(thread.sent).toHaveLength(2)
  })

  test('files are closed all the same once the thread has ended', () => {
    const { thread, handOver } = held()
    const closed: number[] = []
    const calls = threadCalls(handOver, handOver, { close: (fd: number) => closed.push(fd) } as never)
    calls.close(1, () => undefined)
    handOver.end(new Error('gone'))
    calls.close(2, () => undefined)
    expect([names(thread), closed]).toEqual([['close 1'], [2]])
  })

  test('syncs of files go to the thread that is there for them, everything else does not', () => {
    const [writing, syncing] = [held(), held()]
    const calls = threadCalls(writing.handOver, syncing.handOver, {} as never)
    calls.fdatasync(1, () => undefined)
    calls.fsync(2, () => undefined)
    calls.ftruncate(3, 0, () => undefined)
    expect([names(writing.thread), names(syncing.thread)]).toEqual([['fsync 2', 'ftruncate 3'], ['fdatasync 1']])
  })
})

describe('the memory shared with a thread', () => {
  test('is handed out in pages that nobody else has, and all of it again once it is given back', () => {
    const pages = 8
    const step = fc.oneof(fc.constant('give' as const), fc.nat(4 * PAGE))
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), steps => {
        const ring = new Ring(pages * PAGE)
        const out: number[][] = []
        for (const one of steps) {
          if (one === 'give') {
            if (out.shift() !== undefined) ring.give()
            continue
          }
          const wanted = Math.max(1, Math.ceil(one / PAGE))
          const at = ring.take(one)
          if (at === undefined) {
            // Where nothing is out there is room; so nobody waits for ever.
            expect(out.length).toBeGreaterThan(0)
            continue
          }
          const taken = Array.from({ length: wanted }, (_, i) => at / PAGE + i)
          expect(taken.every(page => Number.isInteger(page) && page >= 0 && page < pages)).toBe(true)
          expect(out.flat().filter(page => taken.includes(page))).toEqual([])
          out.push(taken)
        }
        while (out.shift() !== undefined) ring.give()
        expect(ring.take(pages * PAGE)).toBe(0)
      }),
      { numRuns: 2000 },
    )
  })
})
