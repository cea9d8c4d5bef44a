import { describe, expect, test } from 'vitest'
import { systemClock } from '../src/clock.js'
import { text } from '../src/codec/encoding.js'
import { Transactions } from '../src/transaction.js'
import type { WalTransaction } from '../src/types.js'
import { transactionSuite } from './contract/transaction-suite.js'
import { heldOf } from './helpers/garbage.js'
import { ManualClock } from './helpers/manual-clock.js'
import { MemoryLog } from './helpers/memory-log.js'
import { openMemoryLog } from './helpers/open-memory-log.js'

transactionSuite(openMemoryLog)

const clock = new ManualClock()
const limits = { timeoutMs: 5, maxEntries: 10, maxBatchBytes: 1000 }

describe('by the real clock', () => {
  test('a transaction expires', async () => {
    const transactions = new Transactions(new MemoryLog({ encoding: text() }), limits)
    const transaction = transactions.begin()
    await new Promise(resolve => setTimeout(resolve, 50))
    expect([transactions.open, transaction.state]).toEqual([0, 'expired'])
  })

  test('a time limit longer than setTimeout can take is no time limit of 1 ms', async () => {
    let called = false
    const cancel = systemClock.setTimer(() => (called = true), 2 ** 31)
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(called).toBe(false)
    cancel()
  })
})

test.each([
  ['was rolled back', (transaction: WalTransaction<string>) => transaction.rollback(), 30_000],
  ['has expired', () => clock.advance(10), 10],
])('what %s holds no memory', async (_how, end, timeoutMs) => {
  const log = new MemoryLog({ encoding: text() })
  const encoded: WeakRef<Uint8Array>[] = []
  const encode = log.encode.bind(log)
  log.encode = data => {
    const result = encode(data)
    encoded.push(new WeakRef(result))
    return result
  }
  const transaction = new Transactions(log, { ...limits, timeoutMs }, clock).begin()
  for (let n = 0; n < 10; n++) transaction.append('x'.repeat(10))
  expect(await heldOf(encoded)).toBe(10)
  end(transaction)
  expect(await heldOf(encoded)).toBe(0)
  expect(transaction.state).not.toBe('pending')
})
