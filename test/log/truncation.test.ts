import { describe, expect, it } from 'vitest'
import { text } from '../../src/codec/encoding.js'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import { openWal } from '../../src/open.js'

const open = () => openWal('/log', { fileSystem: new SimulatedFileSystem(), encoding: text() })

describe('truncateAfter in the midst of a batch', () => {
  it('hides the rest of the batch from readers, also once its indexes are given out again', async () => {
    const wal = await open()
    await wal.appendBatch(['1', '2', '3', '4'])
    await wal.truncateAfter(2)
    await wal.append('new 3')
    const read: string[] = []
    for await (const { data } of wal.replay()) read.push(data)
    expect(read).toEqual(['1', '2', 'new 3'])
  })

  it('takes from a slow reader what it has read and not handed out', async () => {
    const wal = await open()
    await wal.appendBatch(['1', '2', '3', '4'])
    const cursor = wal.tail({ chunkMaxBytes: 1 })
    const next = async () => (await cursor.next()).value?.data
    expect(await next()).toBe('1')
    const cut = wal.truncateAfter(2)
    // Reads while the truncation is still under way.
    expect(await next()).toBe('2')
    await cut
    await wal.append('new 3')
    expect(await next()).toBe('new 3')
    await wal.close()
  })
})

describe('two truncations that wait for one another', () => {
  it('keep the watermarks in order all the time', async () => {
    const wal = await open()
    await wal.appendBatch(['1', '2', '3', '4', '5', '6'])
    const marks: number[][] = []
    const note = () => marks.push([wal.durableIndex, wal.committedIndex, wal.lastIndex])
    const cuts = [wal.truncateAfter(5).then(note), wal.truncateAfter(3).then(note)]
    const later = wal.append('new 4').then(note)
    await Promise.all([...cuts, later])
    expect(marks.every(([durable, committed, last]) => durable! <= committed! && committed! <= last!)).toBe(true)
    expect(wal.committedIndex).toBe(4)
  })

  it('do not hold the watermarks down once the lower one is done', async () => {
    const wal = await open()
    await wal.appendBatch(['1', '2', '3', '4'])
    const first = wal.truncateAfter(2)
    const refilled = ['new 3', 'new 4', 'new 5'].map(data => wal.append(data))
    const second = wal.truncateAfter(4)
    await expect(refilled[2]).rejects.toMatchObject({ code: 'WAL_TRUNCATED' })
    await Promise.all([first, refilled[1]])
    expect(wal.committedIndex).toBe(4)
    await second
  })
})

describe('an index that a truncation gave out again', () => {
  it('is waited for in the commit that holds its new entry', async () => {
    const wal = await open()
    await wal.append('1')
    wal.submit('old 2')
    const cut = wal.truncateAfter(1)
    const transaction = wal.transaction()
    transaction.append('new 2')
    let cutIsDone = false
    void cut.then(() => (cutIsDone = true))
    await transaction.commit()
    expect(cutIsDone).toBe(true)
    expect((await wal.get(2)).data).toBe('new 2')
  })
})

describe('truncateBefore', () => {
  it("syncs first: after a power cut the log has no first index above what it holds, with sync: 'never' too", async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openWal('/log', { fileSystem: fs, sync: 'never' })
    await wal.appendBatch(['1', '2', '3', '4'])
    await wal.truncateBefore(4)
    const reopened = await openWal('/log', { fileSystem: fs.crash({ seed: 0 }) })
    expect([reopened.firstIndex, reopened.lastIndex]).toEqual([4, 4])
    expect((await reopened.get(4)).data.toString()).toBe('4')
  })
})
