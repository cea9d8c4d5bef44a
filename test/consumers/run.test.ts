import { describe, expect, it, vi } from 'vitest'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import type { Chunk, RunOptions } from '../../src/types.js'
import { ManualClock } from '../helpers/manual-clock.js'
import { turns, until, walError } from '../helpers/waiting.js'
import { fill, indexes, open, range, runUntil } from './scene.js'

/** Runs a handler that fails where it is told to, over five entries. */
async function scene(fails: (index: number, call: number) => boolean, options: RunOptions<string> = {}) {
  const clock = new ManualClock()
  const { wal } = await open({}, { clock })
  await fill(wal, 5)
  const consumer = wal.consumer('view')
  const calls: number[][] = []
  const handler = async (entries: Chunk<string>) => {
    calls.push(indexes(entries))
    await turns(1)
    const bad = entries.find(({ index }) => fails(index, calls.length))
    if (bad) throw new Error(`no ${bad.index}`)
  }
  const skipped: number[] = []
  consumer.on('skip', ({ index }) => skipped.push(index))
  return { wal, clock, consumer, calls, skipped, running: consumer.run(handler, options) }
}

describe('a handler that fails', () => {
  it('stops the run at the entry that fails, with its error', async () => {
    const { wal, consumer, calls, running } = await scene(index => index === 3)
    await expect(running).rejects.toThrow('no 3')
    expect(calls).toEqual([range(1, 5), [1], [2], [3]])
    expect(consumer.checkpointIndex).toBe(2)
    expect(await runUntil(consumer, 5)).toEqual([3, 4, 5])
    await wal.close()
  })

  it('goes on when the chunk passes entry by entry', async () => {
    const { wal, consumer, calls } = await scene((_, call) => call === 1)
    await consumer.whenProcessed(5)
    expect(calls).toEqual([range(1, 5), [1], [2], [3], [4], [5]])
    await wal.close()
  })

  it('skips only the entries that fail, and reports them', async () => {
    const { wal, consumer, skipped } = await scene(index => index % 2 === 0, { onError: 'skip' })
    await consumer.whenProcessed(5)
    await turns(1)
    expect(skipped).toEqual([2, 4])
    await wal.close()
  })

  it('tries again after longer and longer pauses, then stops', async () => {
    const retry = { attempts: 4, minDelayMs: 13, maxDelayMs: 33 }
    const { clock, wal, calls, running } = await scene(index => index === 1, { onError: 'retry', retry })
    const pauses: number[] = []
    for (const tries of [1, 2, 3]) {
      await until(() => calls.length === tries + 1 && clock.delays().some(ms => [13, 26, 33].includes(ms)))
      pauses.push(clock.delays().find(ms => [13, 26, 33].includes(ms))!)
      clock.advance(pauses.at(-1)!)
    }
    await expect(running).rejects.toThrow('no 1')
    expect(pauses).toEqual([13, 26, 33])
    expect(calls).toEqual([range(1, 5), [1], [1], [1], [1]])
    await wal.close()
  })

  it('is judged by a function that is given the error and the entry', async () => {
    const asked: [string, number][] = []
    let tries = 0
    const onError: RunOptions<string>['onError'] = async (error, entry) => {
      asked.push([(error as Error).message, entry.index])
      if (entry.index === 2) return 'skip'
      return tries++ === 0 ? 'retry' : 'stop'
    }
    const { clock, wal, calls, skipped, running } = await scene(index => index === 2 || index === 4, { onError })
    await until(() => clock.delays().includes(100))
    clock.advance(100)
    await expect(running).rejects.toThrow('no 4')
    expect(asked).toEqual([
      ['no 2', 2],
      ['no 4', 4],
      ['no 4', 4],
    ])
    expect(skipped).toEqual([2])
    expect(calls.at(-1)).toEqual([4])
    await wal.close()
  })

  it('ends the run when the judge fails or says nonsense', async () => {
    const broken = await scene(() => true, { onError: () => Promise.reject(new Error('no judge')) })
    await expect(broken.running).rejects.toThrow('no judge')
    await broken.wal.close()
    const silent = await scene(() => true, { onError: () => undefined as never })
    await expect(silent.running).rejects.toThrow("onError must say 'stop', 'retry' or 'skip', got undefined")
    await silent.wal.close()
  })

  it('can put what it cannot handle into another log', async () => {
    const { wal } = await open()
    const { wal: dead } = await open({}, { fs: new SimulatedFileSystem() })
    await fill(wal, 3)
    const consumer = wal.consumer('view')
    const running = consumer.run(
      entries => {
        if (entries.some(({ index }) => index === 2)) throw new Error('poison')
      },
      {
        onError: async (_error, entry) => {
          await dead.append(`${entry.index}: ${entry.data}`)
          return 'skip' as const
        },
      },
    )
    await consumer.whenProcessed(3)
    expect(dead.getSync(1).data).toBe('2: e2')
    expect(dead.lastIndex).toBe(1)
    await Promise.all([wal.close(), dead.close()])
    await running
  })

  it('harms neither the log nor other consumers', async () => {
    const { wal } = await open()
    await fill(wal, 3)
    const bad = wal.consumer('bad').run(() => {
      throw new Error('bad')
    })
    expect(await runUntil(wal.consumer('good'), 3)).toEqual([1, 2, 3])
    await expect(bad).rejects.toThrow('bad')
    await wal.append('e4')
    expect(wal.status).toBe('open')
    await wal.close()
  })
})

describe('stopping', () => {
  it('by signal lets the handler in hand finish, and stores its position', async () => {
    const { wal, fs } = await open()
    await fill(wal, 3)
    const stop = new AbortController()
    let sawAbort = false
    const running = wal.consumer('view').run(
      async (_entries, { signal }) => {
        stop.abort()
        await turns(3)
        sawAbort = signal.aborted
      },
      { signal: stop.signal },
    )
    await running
    expect(sawAbort).toBe(true)
    const { wal: again } = await open({}, { fs: fs.crash({ seed: 0 }) })
    expect(again.consumer('view').checkpointIndex).toBe(3)
    await again.close()
  })

  it('by a signal that has aborted does nothing', async () => {
    const { wal } = await open()
    await fill(wal, 1)
    const handler = vi.fn()
    await expect(wal.consumer('view').run(handler, { signal: AbortSignal.abort('no') })).rejects.toBe('no')
    await expect(
      wal
        .consumer('view')
        .chunks({ signal: AbortSignal.abort('no') })
        .next(),
    ).rejects.toBe('no')
    expect(handler).not.toHaveBeenCalled()
    await wal.close()
  })

  it('ends a read with the reason, and the name is free', async () => {
    const { wal } = await open()
    const stop = new AbortController()
    const next = wal.consumer('view').chunks({ signal: stop.signal }).next()
    await turns(5)
    stop.abort('enough')
    await expect(next).rejects.toBe('enough')
    const other = wal.consumer('view').chunks()
    const waiting = other.next()
    await fill(wal, 1)
    expect((await waiting).done).toBe(false)
    await wal.close()
  })

  it('cuts a pause short; what failed comes again', async () => {
    const clock = new ManualClock()
    const { wal } = await open({}, { clock })
    await fill(wal, 1)
    const stop = new AbortController()
    const consumer = wal.consumer('view')
    const failing = () => {
      throw new Error('not now')
    }
    const running = consumer.run(failing, { onError: 'retry', signal: stop.signal })
    await until(() => clock.delays().includes(100))
    stop.abort()
    await running
    expect(consumer.checkpointIndex).toBe(0)
    expect(await runUntil(consumer, 1)).toEqual([1])
    await wal.close()
  })

  it('a handler that gives up because it was told to stop is no failure', async () => {
    const { wal } = await open()
    await fill(wal, 3)
    const consumer = wal.consumer('view')
    let calls = 0
    const running = consumer.run(
      (_, { signal }) =>
        new Promise((_resolve, reject) => {
          calls++
          signal.addEventListener('abort', () => reject(signal.reason))
        }),
    )
    await until(() => consumer.position !== undefined)
    await consumer.close()
    await running
    expect(calls).toBe(1)
    expect(wal.consumer('view').checkpointIndex).toBe(0)
    await wal.close()
  })

  it('closing waits for a handler at work, and stores what it did', async () => {
    const { wal, fs } = await open()
    await fill(wal, 2)
    const consumer = wal.consumer('view')
    let finish = () => {}
    const running = consumer.run(() => new Promise<void>(resolve => void (finish = resolve)))
    await until(() => consumer.position !== undefined)
    const closing = wal.close()
    await turns(20)
    finish()
    await Promise.all([closing, running])
    const { wal: again } = await open({}, { fs })
    expect(again.consumer('view').checkpointIndex).toBe(2)
    await again.close()
  })

  it('closing does not wait for ever for one that hangs, and nothing is stored once the log is free', async () => {
    const clock = new ManualClock()
    const { wal, fs } = await open({}, { clock })
    await fill(wal, 2)
    const consumer = wal.consumer('view')
    let finish = () => {}
    const running = consumer.run(() => new Promise<void>(resolve => void (finish = resolve)))
    await until(() => consumer.position !== undefined)
    const closing = wal.close()
    await until(() => clock.delays().includes(1000))
    clock.advance(1000)
    await closing
    const operations = fs.operations
    finish()
    await running
    await walError(consumer.checkpoint(2), 'WAL_CLOSED')
    clock.advance(1000)
    await turns(20)
    expect(fs.operations).toBe(operations)
  })

  it('from inside of the handler does not hang', async () => {
    const { wal } = await open()
    await fill(wal, 2)
    const consumer = wal.consumer('view')
    await consumer.run(() => consumer.close())
    expect(wal.consumer('view').checkpointIndex).toBe(2)
    await wal.close()
  })
})
