import { describe, expect, it } from 'vitest'
import { openWal } from '../../src/index.js'
import { SimulatedFileSystem } from '../../src/testing.js'
import type { WalOptions } from '../../src/types.js'
import { directory, flipBit, readAll, segmentsIn } from '../helpers/small-log.js'

const formats = ['binary', 'ndjson'] as const
/** No timer of the log syncs anything while a test runs. */
const UNSYNCED: WalOptions = { sync: { intervalMs: 600_000 }, io: 'buffered' }

/** What a process leaves that was killed with five entries in five commits, none of them synced. */
async function killedUnsynced(format: (typeof formats)[number]): Promise<{ fs: SimulatedFileSystem; path: string }> {
  const fs = new SimulatedFileSystem()
  const wal = await openWal(directory, { ...UNSYNCED, fileSystem: fs, format })
  for (let n = 1; n <= 5; n++) await wal.append(`"entry ${n}"`)
  expect([wal.committedIndex, wal.durableIndex]).toEqual([5, 0])
  const killed = fs.kill()
  const [path = ''] = await segmentsIn(killed)
  return { fs: killed, path }
}

const dataOf = async (fs: SimulatedFileSystem) => {
  const wal = await openWal(directory, { fileSystem: fs, io: 'buffered' })
  return { wal, data: (await readAll(wal)).map(({ data }) => data) }
}

describe.each(formats)('commits that were never synced, format %s', format => {
  it('end at the first bad one, though whole ones follow', async () => {
    const { fs, path } = await killedUnsynced(format)
    flipBit(fs, path, fs.contents(path).indexOf('entry 3'))
    const { wal, data } = await dataOf(fs)
    expect(data).toEqual(['"entry 1"', '"entry 2"'])
    expect(wal.recoveryReport).toMatchObject({ clean: false, cutFromIndex: 3, cutPath: path, copiedEntries: 2 })
    // What was left out can be looked at until the log is opened again.
    expect(String(fs.contents(path))).toContain('entry 5')
    expect(await wal.append('"instead of 3"')).toBe(3)
    await wal.close()
    const again = await dataOf(fs)
    expect(again.data).toEqual(['"entry 1"', '"entry 2"', '"instead of 3"'])
  })

  it.each(['nobody', 'next-sync'] as const)(
    'survive a write-back that failed, told to %s: recovery copies what only the page cache has',
    async reported => {
      const { fs, path } = await killedUnsynced(format)
      fs.failWriteBack(path, { reported })
      const { wal, data } = await dataOf(fs)
      expect(data).toHaveLength(5)
      expect(wal.durableIndex).toBe(5)
      const after = await dataOf(fs.crash({ seed: 0 }))
      expect(after.data).toEqual(data)
    },
  )

  it('are lost without recovery: the disk never had them', async () => {
    const { fs, path } = await killedUnsynced(format)
    fs.failWriteBack(path, { reported: 'nobody' })
    const after = await dataOf(fs.crash({ seed: 1 }))
    expect(after.data).toEqual([])
  })
})
