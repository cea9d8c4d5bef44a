import { describe, expect, it } from 'vitest'
import { openWal, type WalError } from '../../src/index.js'
import { directory, flipBit, readAll } from '../helpers/small-log.js'
import { closedImage, restore } from './image.js'

const HEADER_BYTES = 4096
/** Prime, so that all bits of a byte have their turn. */
const STRIDE = process.env['WALRUS_DAMAGE'] === 'all' ? 1 : 29

/** A range of indexes that an error names, or the one index that was read. */
function covers(error: WalError, index: number): boolean {
  return (error.firstIndex ?? index) <= index && index <= (error.lastIndex ?? index)
}

describe('a bit that rots in an open log', () => {
  it('is noticed by every way to read, with the place, and takes nothing else along', async () => {
    const image = await closedImage()
    let refused = 0
    for (const [i, path] of image.segments.entries()) {
      const { firstIndex, lastIndex } = image.infos[i]!
      for (let bit = HEADER_BYTES * 8; bit < image.files.get(path)!.length * 8; bit += STRIDE) {
        const fs = await restore(image.files)
        const wal = await openWal(directory, { fileSystem: fs })
        flipBit(fs, path, bit >> 3, bit & 7)
        await expect(readAll(wal)).rejects.toMatchObject({ code: 'WAL_CORRUPT', segment: path })
        for (const { index, data } of image.entries) {
          const got = await wal.get(index).catch((error: WalError) => error)
          if (!('code' in got)) expect(String(got.data)).toBe(data)
          else {
            expect(got).toMatchObject({ code: 'WAL_CORRUPT', segment: path })
            expect([firstIndex <= index && index <= lastIndex, covers(got, index)]).toEqual([true, true])
            refused++
          }
        }
        expect((await wal.verify()).ok).toBe(false)
        await wal.append('goes on all the same')
        await wal.close()
      }
    }
    expect(refused).toBeGreaterThan(100)
  })

  it('is noticed in what was read before, too: nothing is believed a second time', async () => {
    const image = await closedImage()
    const fs = await restore(image.files)
    const wal = await openWal(directory, { fileSystem: fs })
    expect(await readAll(wal)).toEqual(image.entries)
    for (const { index } of image.entries) await wal.get(index)
    for (const path of image.segments) flipBit(fs, path, HEADER_BYTES + 48 + 20)
    for (const { firstIndex } of image.infos) {
      await expect(wal.get(firstIndex)).rejects.toMatchObject({ code: 'WAL_CORRUPT', index: firstIndex })
      expect(() => wal.getSync(firstIndex)).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT' }))
    }
    await wal.close()
  })
})
