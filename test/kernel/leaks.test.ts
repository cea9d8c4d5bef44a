import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openWal } from '../../src/index.js'
import type { WalOptions } from '../../src/types.js'
import { collectGarbage } from '../helpers/garbage.js'

/** More by WALRUS_LEAK_CYCLES. */
const CYCLES = Number(process.env['WALRUS_LEAK_CYCLES'] ?? 20)
const WARM_UP = 10
const MOST_GROWTH_BYTES = 4_000_000

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'walrus-leaks-'))
})
afterEach(() => rmSync(root, { recursive: true }))

const openFiles = () => readdirSync('/proc/self/fd').length

async function heldBytes(): Promise<number> {
  for (let round = 0; round < 4; round++) {
    await new Promise(resolve => setImmediate(resolve))
    collectGarbage()
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Everything a program does with a log, much of it left half-done. */
async function cycle(options: WalOptions): Promise<void> {
  const directory = join(root, 'log')
  const wal = await openWal(directory, { sync: 'never', ...options })
  await wal.appendBatch(Array.from({ length: 50 }, (_, i) => `${i}`.repeat(100)))
  await wal.rotate()
  const aborted = new AbortController()
  const tail = wal.tail({ signal: aborted.signal })
  await tail.next()
  const waiting = wal.tail({ from: 'end', signal: aborted.signal }).next()
  aborted.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
  for await (const { index } of wal.replay()) if (index > wal.firstIndex + 5) break
  const stream = wal.readable()
  stream.once('data', () => stream.destroy())
  await new Promise(resolve => stream.once('close', resolve))
  wal.getSync(wal.lastIndex)
  await expect(openWal(directory)).rejects.toMatchObject({ code: 'WAL_LOCKED' })
  await expect(openWal(directory, { format: 'binary', startIndex: 0 })).rejects.toMatchObject({
    code: 'WAL_INVALID_OPTION',
  })
  const transaction = wal.transaction()
  transaction.append('never committed')
  await wal.truncateBefore(wal.lastIndex - 10)
  await wal.truncateAfter(wal.lastIndex - 1)
  const unfinished = wal.replay()
  await unfinished.next()
  await wal.close()
}

describe.runIf(process.platform === 'linux')('opening, writing, reading, leaving and closing over and over', () => {
  it.each([
    ['format binary', { format: 'binary' }],
    ['format ndjson', { format: 'ndjson' }],
    ['written by a thread', { writerThread: true }],
  ] as const)('keeps no file open and holds no memory, %s', async (_how, options) => {
    let [files, bytes] = [0, 0]
    for (let n = 0; n < WARM_UP + CYCLES; n++) {
      if (n === WARM_UP) [files, bytes] = [openFiles(), await heldBytes()]
      await cycle(options)
    }
    expect(openFiles()).toBe(files)
    expect((await heldBytes()) - bytes).toBeLessThan(MOST_GROWTH_BYTES)
  })
})
