import { describe, expect, test } from 'vitest'
import { BinaryFormat } from '../../src/codec/binary.js'
import { FLAG_ENDS_BATCH } from '../../src/codec/format.js'
import { allocateMemory } from '../../src/codec/memory.js'
import { PendingCommit } from '../../src/log/pending-commit.js'

const format = new BinaryFormat('00'.repeat(16))

/** A commit of ten entries from index 5 on, entry n with term n. */
function ofTen(): PendingCommit {
  const commit = new PendingCommit(
    allocateMemory(4096),
    { start: 0, prefix: format.commitPrefixBytes, limit: 4096, capacity: 1 },
    {
      firstIndex: 5,
      rotateBefore: false,
      acceptedAt: 0,
    },
  )
  for (let index = 5; index < 15; index++) {
    commit.offsets.push(commit.end)
    const fields = { index, term: index, timestamp: 0, flags: FLAG_ENDS_BATCH, transactionId: undefined }
    commit.end = format.writeEntry(commit.memory, commit.end, fields, Buffer.from(`${index}`))
    commit.count++
  }
  return commit
}

describe('a pending commit', () => {
  test('tells everybody once, each with what it waits for', async () => {
    const commit = ofTen()
    const range = { firstIndex: 6, lastIndex: 7, count: 2 }
    const waits = [commit.wait(5), commit.wait(range), commit.done(9)]
    commit.resolve()
    commit.reject(new Error('too late'))
    expect(await Promise.all(waits)).toEqual([5, range, undefined])
  })

  test('has one promise for all who only want to know, and it is the same', () => {
    const commit = ofTen()
    expect(commit.done(5)).toBe(commit.done(14))
  })

  test('rejects those who wait for what is taken back, serves the others', async () => {
    const commit = ofTen()
    const waits = [8, 9, { firstIndex: 8, lastIndex: 9, count: 2 }, { firstIndex: 9, lastIndex: 10, count: 2 }].map(
      value => commit.wait(value),
    )
    const settled = Promise.allSettled(waits)
    commit.rejectAbove(9, 'gone')
    commit.resolve()
    expect((await settled).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected'])
  })

  test('of the shared promise all are told to look again when one of them waits for what is gone', async () => {
    const [cut, kept] = [ofTen(), ofTen()]
    const [lost, served] = [cut.done(10), kept.done(9)]
    void cut.done(5)
    cut.rejectAbove(9, 'gone')
    kept.rejectAbove(9, 'gone')
    kept.resolve()
    await expect(lost).rejects.toBe('gone')
    await served
    const again = cut.done(9)
    cut.resolve()
    await again
  })

  test('knows the term of each of its entries', () => {
    const commit = ofTen()
    for (let index = 5; index < 15; index++) expect(commit.termOf(index, format)).toBe(index)
  })
})
