import { describe, expect, it } from 'vitest'
import { openWal, verifyWal } from '../../src/index.js'
import type { SimulatedFileSystem } from '../../src/testing.js'
import { directory, readAll, type SmallWal, type Written } from '../helpers/small-log.js'
import { closedImage, type Files, filesIn, restore, withFile } from './image.js'
import { judge } from './judge.js'

const open = (fs: SimulatedFileSystem) => openWal(directory, { fileSystem: fs, io: 'buffered' })

async function goOn(files: Files, write: (wal: SmallWal) => Promise<unknown>) {
  const fs = await restore(files)
  const wal = await open(fs)
  await write(wal)
  const entries: Written[] = await readAll(wal)
  await wal.close()
  return { files: await filesIn(fs), entries }
}

/** Two copies of a log that was closed, each gone on by itself: same ids, same salts, same lengths, other entries. */
async function forks() {
  const { files, segments } = await closedImage()
  const write = (word: string) => async (wal: SmallWal) => {
    await wal.append(word)
    await wal.rotate()
    await wal.append('later')
  }
  return { a: await goOn(files, write('aaaa')), b: await goOn(files, write('bbbb')), shared: segments.at(-1)! }
}

describe('a segment of a copy of the log that went on by itself', () => {
  it('is refused in the place of the log’s own, though it is of the same length', async () => {
    const { a, b, shared } = await forks()
    expect(b.files.get(shared)!.length).toBe(a.files.get(shared)!.length)
    const mixed = withFile(a.files, shared, b.files.get(shared)!)
    const outcome = await judge(mixed, a)
    expect(outcome).toMatchObject({ kind: 'refused', error: { code: 'WAL_CORRUPT', segment: shared } })
    expect((await verifyWal(directory, { fileSystem: await restore(mixed) })).ok).toBe(false)
  })

  it('is refused by get, getSync and a cursor that begins in it', async () => {
    const { a, b, shared } = await forks()
    const strange = b.entries.find(({ data }) => data === 'bbbb')!.index
    for (const read of [
      (wal: SmallWal) => wal.get(strange),
      async (wal: SmallWal) => wal.getSync(strange),
      (wal: SmallWal) => wal.getRange(strange, strange + 1),
    ]) {
      const wal = await open(await restore(withFile(a.files, shared, b.files.get(shared)!)))
      await expect(read(wal)).rejects.toMatchObject({ code: 'WAL_CORRUPT', segment: shared })
    }
  })
})
