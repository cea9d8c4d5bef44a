import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openWal, text, type Wal } from '../../src/index.js'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'walrus-cut-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

async function dataOf(wal: Wal<string>): Promise<string[]> {
  const data: string[] = []
  for await (const entry of wal.replay()) data.push(entry.data)
  return data
}

/** Four entries of one batch, and so of one commit, of which two are cut off again. */
async function cutWithinCommit(): Promise<Wal<string>> {
  const wal = await openWal(directory, { encoding: text() })
  await wal.appendBatch(['one', 'two', 'three', 'four'])
  await wal.truncateAfter(2)
  await wal.append('3')
  await wal.append('4')
  return wal
}

describe('truncateAfter within a commit', () => {
  it('the entries that were cut off stay gone for a replay', async () => {
    await using wal = await cutWithinCommit()
    expect(await dataOf(wal)).toEqual(['one', 'two', '3', '4'])
  })

  it('and after opening again', async () => {
    await (await cutWithinCommit()).close()
    await using wal = await openWal(directory, { encoding: text() })
    expect(await dataOf(wal)).toEqual(['one', 'two', '3', '4'])
    expect((await wal.get(3)).data).toBe('3')
    expect(wal.getSync(2).data).toBe('two')
  })

  it('a read under way at the cut brings none of them back', async () => {
    const wal = await openWal(directory, { encoding: text(), segmentMaxBytes: 1 << 20 })
    await wal.appendBatch(['one', 'two', 'three', 'four'])
    const cursor = wal.replay({ chunkMaxBytes: 1 })
    const reading = cursor.next()
    const cut = wal.truncateAfter(2)
    await cut
    await wal.appendBatch(['3', '4'])
    const data = [(await reading).value?.data]
    for await (const entry of cursor) data.push(entry.data)
    expect(data).toEqual(['one', 'two', '3', '4'])
    await wal.close()
  })

  it('a tail that follows from memory is not given them either, also while the cut is under way', async () => {
    const wal = await openWal(directory, { encoding: text() })
    const tail = wal.tail({ chunkMaxBytes: 1 })
    const next = async () => (await tail.next()).value?.data
    const first = next()
    await wal.appendBatch(['one', 'two', 'three', 'four'])
    expect(await first).toBe('one')
    const cut = wal.truncateAfter(2)
    expect(await next()).toBe('two')
    await cut
    await wal.appendBatch(['3', '4'])
    expect([await next(), await next()]).toEqual(['3', '4'])
    await wal.close()
  })
})
