import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { bytes, text } from '../../src/codec/encoding.js'
import type { Log } from '../../src/contract.js'
import { type TransactionLimits, Transactions } from '../../src/transaction.js'
import { ManualClock } from '../helpers/manual-clock.js'
import { rejection, turns, until, walError } from '../helpers/waiting.js'
import type { OpenLog } from './controlled-log.js'
import { entriesOf } from './writable-suite.js'

/** What a transaction promises over any log. */
export function transactionSuite(openLog: OpenLog): void {
  const clock = new ManualClock()
  const on = <In>(log: Log<unknown, In>, limits: Partial<TransactionLimits> = {}) =>
    new Transactions(log, { timeoutMs: 30_000, maxEntries: 1000, maxBatchBytes: 64 << 20, ...limits }, clock)

  describe('transaction', () => {
    test('is one batch at commit and nothing before; its entries carry its id', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const transaction = on(log).begin()
      transaction.append('a')
      transaction.append('b', { term: 4, timestamp: new Date(1234) })
      await log.committed(log.accept('other'))
      expect([transaction.state, log.lastIndex]).toEqual(['pending', 1])
      expect(await transaction.commit()).toEqual({ firstIndex: 2, lastIndex: 3, count: 2 })
      expect(transaction.state).toBe('committed')
      expect(transaction.id).toMatch(/^[0-9a-f]{16}$/)
      const entries = await entriesOf(log)
      expect(entries[0]).not.toHaveProperty('transactionId')
      expect(entries.slice(1)).toMatchObject([
        { data: 'a', transactionId: transaction.id },
        { data: 'b', term: 4, timestamp: 1234, transactionId: transaction.id },
      ])
      await close()
    })

    test('commit() resolves once the entries are committed', async () => {
      const { log, setDisk, close } = await openLog({ encoding: text() })
      setDisk('held')
      const transaction = on(log).begin()
      transaction.append('a')
      let settled = false
      const commit = transaction.commit().finally(() => (settled = true))
      expect(log.lastIndex).toBe(1)
      await turns()
      expect(settled).toBe(false)
      setDisk('ok')
      await commit
      expect(log.committedIndex).toBe(1)
      await close()
    })

    test('data are taken at append: the buffer and the date may be reused', async () => {
      const { log, close } = await openLog({ encoding: bytes() })
      const transaction = on(log).begin()
      const buffer = Buffer.from('first')
      const date = new Date(1000)
      transaction.append(buffer, { timestamp: date })
      buffer.fill('x')
      date.setTime(9)
      await transaction.commit()
      const [entry] = await entriesOf(log)
      expect([entry?.data.toString(), entry?.timestamp]).toEqual(['first', 1000])
      await close()
    })

    test('an empty one commits nothing', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const transaction = on(log).begin()
      expect(await transaction.commit()).toEqual({ firstIndex: 1, lastIndex: 0, count: 0 })
      await walError(on(log).begin().commit({ expectedLastIndex: 7 }), 'WAL_WRONG_EXPECTED_INDEX')
      await close()
    })

    test('ids differ', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const transactions = on(log)
      expect(new Set(Array.from({ length: 100 }, () => transactions.begin().id)).size).toBe(100)
      await close()
    })

    test('rolled back, by hand or by its block, it leaves nothing', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const transactions = on(log)
      const transaction = transactions.begin()
      transaction.append('a')
      transaction.rollback()
      transaction.rollback()
      const left = await (async () => {
        await using scoped = transactions.begin()
        scoped.append('b')
        return scoped
      })()
      expect([transaction.state, left.state, log.lastIndex]).toEqual(['rolled-back', 'rolled-back', 0])
      await close()
    })

    test('what has ended takes nothing more', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const [committed, rolledBack] = [on(log).begin(), on(log).begin()]
      await committed.commit()
      rolledBack.rollback()
      for (const ended of [committed, rolledBack]) {
        expect(() => ended.append('late')).toThrow(expect.objectContaining({ code: 'WAL_TRANSACTION_CLOSED' }))
        await walError(ended.commit(), 'WAL_TRANSACTION_CLOSED')
      }
      expect(() => committed.rollback()).toThrow(expect.objectContaining({ code: 'WAL_TRANSACTION_CLOSED' }))
      await committed[Symbol.asyncDispose]()
      expect(committed.state).toBe('committed')
      await close()
    })

    test('the number open goes with them', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const transactions = on(log)
      const [one, two, three] = [transactions.begin(), transactions.begin(), transactions.begin({ timeoutMs: 10 })]
      expect(transactions.open).toBe(3)
      await one.commit()
      two.rollback()
      expect(transactions.open).toBe(1)
      clock.advance(10)
      expect([three.state, transactions.open]).toEqual(['expired', 0])
      await close()
    })
  })

  describe('a transaction that is refused', () => {
    test('an entry over a limit is refused, what it has stays', async () => {
      const { log, close } = await openLog({ encoding: text(), maxEntryBytes: 50 })
      const transaction = on(log, { maxBatchBytes: 100 }).begin({ maxEntries: 4 })
      for (const [data, code] of [
        ['x'.repeat(51), 'WAL_ENTRY_TOO_LARGE'],
        ['\ud800', 'WAL_INVALID_ENTRY'],
      ]) {
        expect(() => transaction.append(data as string)).toThrow(expect.objectContaining({ code }))
      }
      expect(() => transaction.append(1 as never)).toThrow(TypeError)
      expect(() => transaction.append('a', { term: '1' as never })).toThrow(TypeError)
      const unstorable = [{ term: -1 }, { term: 0.5 }, { timestamp: new Date('never') }, { timestamp: Infinity }]
      for (const stamp of unstorable) {
        expect(() => transaction.append('a', stamp)).toThrow(expect.objectContaining({ code: 'WAL_INVALID_ENTRY' }))
      }
      const tooLarge = expect.objectContaining({ code: 'WAL_BATCH_TOO_LARGE' })
      for (const data of ['a'.repeat(50), 'b'.repeat(50)]) transaction.append(data)
      expect(() => transaction.append('c')).toThrow(tooLarge)
      for (const data of ['', '']) transaction.append(data)
      expect(() => transaction.append('')).toThrow(tooLarge)
      expect((await transaction.commit()).count).toBe(4)
      await close()
    })

    test('refused at commit with nothing accepted, it stays pending and may be committed again', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const transaction = on(log).begin()
      transaction.append('a')
      await walError(transaction.commit({ expectedLastIndex: 5 }), 'WAL_WRONG_EXPECTED_INDEX')
      expect(await rejection(transaction.commit({ signal: AbortSignal.abort('reason') }))).toBe('reason')
      expect(await rejection(transaction.commit({ signals: 1 } as never))).toMatchObject({ code: 'WAL_INVALID_OPTION' })
      expect([transaction.state, log.lastIndex]).toEqual(['pending', 0])
      expect((await transaction.commit({ expectedLastIndex: 0 })).lastIndex).toBe(1)
      await close()
    })

    test('on a paused log it can be committed after resume', async () => {
      const { log, setDisk, resume, close } = await openLog({ encoding: text() })
      const transaction = on(log).begin()
      transaction.append('a')
      setDisk('full')
      log.accept('other')
      await until(() => log.status === 'paused')
      await walError(transaction.commit(), 'WAL_NO_SPACE')
      setDisk('ok')
      await resume()
      expect((await transaction.commit()).firstIndex).toBe(2)
      await close()
    })

    test('options are checked', async () => {
      const { log, close } = await openLog({ encoding: text() })
      for (const bad of [{ timeout: 1 }, { timeoutMs: 0 }, { maxEntries: 0.5 }]) {
        expect(() => on(log).begin(bad as never)).toThrow(expect.objectContaining({ code: 'WAL_INVALID_OPTION' }))
      }
      expect(() => on(log).begin({ timeoutMs: '1' as never })).toThrow(TypeError)
      await close()
    })
  })

  describe('a transaction that takes too long', () => {
    test('expires, by its timer or, where that is late, when it is looked at', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const transactions = on(log)
      for (const pass of [() => clock.advance(100), () => clock.block(100)]) {
        const transaction = transactions.begin({ timeoutMs: 100 })
        transaction.append('a')
        pass()
        await walError(transaction.commit(), 'WAL_TRANSACTION_EXPIRED')
        expect(() => transaction.append('b')).toThrow(expect.objectContaining({ code: 'WAL_TRANSACTION_EXPIRED' }))
        transaction.rollback()
        expect(transaction.state).toBe('expired')
      }
      expect([log.lastIndex, transactions.open]).toEqual([0, 0])
      await close()
    })

    test('one that ended leaves no timer, one without a time limit never expires', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const timers = clock.timers.size
      const endless = on(log).begin({ timeoutMs: Number.POSITIVE_INFINITY })
      clock.advance(1e12)
      expect(endless.state).toBe('pending')
      endless.rollback()
      const committed = on(log).begin()
      await committed.commit()
      expect(clock.timers.size).toBe(timers)
      await close()
    })
  })

  describe('a transaction when its commit is interrupted', () => {
    test('aborted while waiting: the outcome is unknown, the entries stay accepted, no listener stays', async () => {
      const { log, setDisk, close } = await openLog({ encoding: text() })
      setDisk('held')
      const controller = new AbortController()
      const transaction = on(log).begin()
      transaction.append('a')
      transaction.append('b')
      const commit = walError(transaction.commit({ signal: controller.signal }), 'WAL_OUTCOME_UNKNOWN')
      controller.abort('reason')
      expect(await commit).toMatchObject({ index: 2, firstIndex: 1, lastIndex: 2, cause: 'reason' })
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
      expect(transaction.state).toBe('committed')
      setDisk('ok')
      await log.committed(2)
      await close()
    })

    test('closing the log rolls back what is pending and commits what was accepted', async () => {
      const { log, setDisk, close } = await openLog({ encoding: text() })
      const transactions = on(log)
      const [pending, committing] = [transactions.begin(), transactions.begin()]
      pending.append('a')
      committing.append('b')
      setDisk('held')
      const commit = committing.commit()
      setDisk('ok')
      await close()
      expect((await commit).lastIndex).toBe(1)
      expect([pending.state, transactions.open]).toEqual(['rolled-back', 0])
      await walError(pending.commit(), 'WAL_TRANSACTION_CLOSED')
      expect(() => transactions.begin()).toThrow(expect.objectContaining({ code: 'WAL_CLOSED' }))
    })

    test('a failing log rejects the commit under way and those to come', async () => {
      const { log, setDisk, close } = await openLog({ encoding: text() })
      const transactions = on(log)
      const [pending, committing] = [transactions.begin(), transactions.begin()]
      committing.append('b')
      setDisk('broken')
      await walError(committing.commit(), 'WAL_FAILED')
      await walError(pending.commit(), 'WAL_FAILED')
      expect(pending.state).toBe('rolled-back')
      await close()
    })
  })
}
