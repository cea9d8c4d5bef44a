import { describe, expect, it } from 'vitest'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import type { SimulatedOperation } from '../../src/file-system/simulation/operation.js'
import type { WalOptions } from '../../src/types.js'
import { ManualClock } from '../helpers/manual-clock.js'
import { turns, until, walError } from '../helpers/waiting.js'
import { fill, open, runUntil } from './scene.js'

const isCheckpoint = ({ path }: SimulatedOperation) => path.includes('/consumers/')

describe('a checkpoint', () => {
  it('is stored within the interval, many noted ones at once', async () => {
    const clock = new ManualClock()
    const { wal, fs } = await open({}, { clock })
    await fill(wal, 9)
    const consumer = wal.consumer('view', { checkpointIntervalMs: 70 })
    const stored: number[] = []
    consumer.on('checkpoint', index => stored.push(index))
    const first = consumer.checkpoint(1)
    clock.advance(0)
    await first
    const writes: SimulatedOperation[] = []
    fs.onOperation = operation => isCheckpoint(operation) && operation.kind === 'write' && writes.push(operation)
    const noted = [2, 3, 4, 5].map(index => consumer.checkpoint(index))
    expect(consumer.checkpointIndex).toBe(5)
    clock.advance(69)
    await turns(20)
    expect(writes).toEqual([])
    clock.advance(1)
    await Promise.all(noted)
    await turns(1)
    expect(stored).toEqual([1, 5])
    const another = consumer.checkpoint(6)
    clock.advance(70)
    await another
    // The first write of a file that was found is preceded by one that proves it.
    expect(writes.length).toBeLessThanOrEqual(3)
    await wal.close()
  })

  it('never goes back by itself', async () => {
    const { wal, fs } = await open()
    await fill(wal, 5)
    const consumer = wal.consumer('view')
    await consumer.checkpoint(4)
    await consumer.checkpoint(2)
    expect(consumer.checkpointIndex).toBe(4)
    const { wal: again } = await open({}, { fs: fs.crash({ seed: 0 }) })
    expect(again.consumer('view').checkpointIndex).toBe(4)
    await again.close()
  })

  it('outside of the log is refused', async () => {
    const { wal } = await open()
    await fill(wal, 5)
    const consumer = wal.consumer('view')
    for (const index of [6, -1, 1.5]) await walError(consumer.checkpoint(index), 'WAL_INDEX_OUT_OF_RANGE')
    await expect(consumer.checkpoint('5' as never)).rejects.toThrow(TypeError)
    await wal.close()
  })

  it.each(['never', { intervalMs: 60_000 }] as const)('waits for what it counts to be durable: sync %j', async sync => {
    const { wal, fs } = await open({ sync })
    await fill(wal, 5)
    expect(wal.durableIndex).toBe(0)
    await wal.consumer('view').checkpoint(3)
    expect(wal.durableIndex).toBe(5)
    const { wal: again } = await open({ sync }, { fs: fs.crash({ seed: 0 }) })
    expect(again.consumer('view').checkpointIndex).toBe(3)
    expect(again.lastIndex).toBe(5)
    await again.close()
  })

  it('of a log that failed stays at what is durable', async () => {
    const { wal, fs } = await open({ sync: 'never' })
    await fill(wal, 3)
    await wal.sync()
    await fill(wal, 3)
    const consumer = wal.consumer('view')
    fs.failNth(1, { filter: ({ kind }) => kind === 'sync' })
    await walError(consumer.checkpoint(6), 'WAL_FAILED')
    await wal.close()
    const { wal: again } = await open({}, { fs: fs.crash({ seed: 0 }) })
    expect(again.consumer('view').checkpointIndex).toBe(3)
    await again.close()
  })

  it('that cannot be stored is told, and a later one makes a new file', async () => {
    const { wal, fs } = await open()
    await fill(wal, 5)
    const consumer = wal.consumer('view', { checkpointIntervalMs: 1 })
    await consumer.checkpoint(1)
    fs.failNth(1, { filter: operation => isCheckpoint(operation) && operation.kind === 'sync' })
    await walError(consumer.checkpoint(2), 'WAL_IO')
    await consumer.checkpoint(3)
    const { wal: again } = await open({}, { fs: fs.crash({ seed: 0 }) })
    expect(again.consumer('view').checkpointIndex).toBe(3)
    await again.close()
  })

  it('that cannot be stored ends a run', async () => {
    const { wal, fs } = await open()
    await fill(wal, 1)
    const consumer = wal.consumer('view', { checkpointIntervalMs: 1 })
    const running = consumer.run(() => {})
    await consumer.whenProcessed(1)
    fs.failNth(1, { filter: operation => isCheckpoint(operation) && operation.kind === 'write', sticky: true })
    const failing = walError(running, 'WAL_IO')
    const stop = setInterval(() => void wal.append('x'), 5)
    await failing
    clearInterval(stop)
    fs.clearFaults()
    await wal.close()
  })

  it('needs no space once its file is there', async () => {
    const { wal, fs } = await open()
    await fill(wal, 5)
    await wal.consumer('view').checkpoint(1)
    await wal.close()
    const { wal: again } = await open({}, { fs })
    fs.capacityBytes = fs.usedBytes
    await again.consumer('view').checkpoint(2)
    await walError(again.consumer('new').checkpoint(2), 'WAL_NO_SPACE')
    fs.capacityBytes = Number.POSITIVE_INFINITY
    await again.close()
  })

  it('in a directory of its own choice: made where it is missing, read at the call', async () => {
    const { wal, fs } = await open()
    await fill(wal, 5)
    const options = { directory: '/var/checkpoints' }
    await runUntil(wal.consumer('view', options), 5)
    const { wal: again } = await open({}, { fs: fs.crash({ seed: 0 }) })
    expect(again.consumer('view', options).checkpointIndex).toBe(5)
    expect(again.consumer('view').checkpointIndex).toBe(0)
    await again.close()
  })

  it('files of unfinished stores are no consumers, and stand in nobody’s way', async () => {
    const { wal, fs } = await open()
    await fill(wal, 5)
    await wal.consumer('a.tmp').checkpoint(4)
    fs.place('/log/consumers/.a.tmp', Buffer.from('half'))
    await wal.consumer('a').checkpoint(2)
    await wal.close()
    const { wal: again } = await open({}, { fs })
    expect(again.consumers().map(({ name, checkpointIndex }) => [name, checkpointIndex])).toEqual([
      ['a', 2],
      ['a.tmp', 4],
    ])
    await again.close()
  })
})

/** What a crash left of a log with one consumer, and what that consumer had been promised by then. */
interface Wreck {
  left: SimulatedFileSystem
  promised: number
  noted: number
}

/** Appends, acknowledges and rotates; `progress` says how far it has come. */
async function work(options: WalOptions, fs: SimulatedFileSystem, progress: Omit<Wreck, 'left'>, steps: number) {
  const { wal } = await open(options, { fs })
  const consumer = wal.consumer('view', { checkpointIntervalMs: 1 })
  for (let step = 0; step < steps; step++) {
    await fill(wal, 2)
    const index = wal.lastIndex - (step % 2)
    progress.noted = index
    await consumer.checkpoint(index)
    progress.promised = index
    if (step === 1) await wal.rotate()
  }
  await wal.close()
}

/** Everything a power cut at any operation may leave. */
async function powerCuts(options: WalOptions): Promise<Wreck[]> {
  const fs = new SimulatedFileSystem()
  const wrecks: Wreck[] = []
  const progress = { promised: 0, noted: 0 }
  fs.onOperation = () => {
    for (const seed of [0, 1, 2, 3, 4]) wrecks.push({ left: fs.crashImage({ seed }), ...progress })
  }
  await work(options, fs, progress, 10)
  return wrecks
}

/** What a kill during each operation leaves, and a power cut some time after it. */
async function kills(options: WalOptions): Promise<Wreck[]> {
  const wrecks: Wreck[] = []
  for (let operation = 1; ; operation++) {
    const fs = new SimulatedFileSystem()
    const progress = { promised: 0, noted: 0 }
    fs.crashAt(operation)
    const hasEnded = work(options, fs, progress, 4).then(
      () => true,
      () => false,
    )
    if (await Promise.race([hasEnded, until(() => fs.crashed).then(() => false)])) return wrecks
    wrecks.push({ left: fs.kill({ seed: operation }), ...progress })
    wrecks.push({ left: fs.kill({ seed: operation }).crash({ seed: operation }), ...progress })
  }
}

describe.each([
  ['always', 'a power cut', powerCuts],
  ['never', 'a power cut', powerCuts],
  ['always', 'a kill', kills],
  ['never', 'a kill', kills],
] as const)('with sync %j, %s at any operation', (sync, _what, crash) => {
  it('leaves a checkpoint that is not ahead of the log, and not behind what was promised', async () => {
    const options: WalOptions = { sync }
    const wrecks = await crash(options)
    expect(wrecks.length).toBeGreaterThan(80)
    for (const { left, promised, noted } of wrecks) {
      const { wal } = await open(options, { fs: left })
      const consumer = wal.consumer('view')
      const { checkpointIndex } = consumer
      expect(checkpointIndex).toBeGreaterThanOrEqual(promised)
      expect(checkpointIndex).toBeLessThanOrEqual(noted)
      expect(checkpointIndex).toBeLessThanOrEqual(wal.lastIndex)
      await wal.append('next')
      const next = await consumer.chunks().next()
      expect(next.value?.firstIndex).toBe(checkpointIndex + 1)
      await wal.close()
    }
  })
})

describe('many consumers', () => {
  it('a hundred follow one log, each to its own place', async () => {
    const { wal, fs } = await open()
    const consumers = Array.from({ length: 100 }, (_, i) => wal.consumer(`c${i}`))
    const counts = consumers.map(() => 0)
    const runs = consumers.map((consumer, i) =>
      consumer.run(entries => {
        counts[i]! += entries.length
      }),
    )
    for (let i = 0; i < 10; i++) await fill(wal, 10)
    await Promise.all(consumers.map(consumer => consumer.whenProcessed(100)))
    expect(counts).toEqual(consumers.map(() => 100))
    expect(wal.stats().consumers).toBe(100)
    await wal.close()
    await Promise.all(runs)
    const { wal: again } = await open({}, { fs })
    expect(again.consumers().map(({ checkpointIndex }) => checkpointIndex)).toEqual(consumers.map(() => 100))
    await until(() => again.stats().consumers === 0)
    await again.close()
  })
})
