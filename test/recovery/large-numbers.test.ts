import { describe, expect, it } from 'vitest'
import { sealBlock } from '../../src/codec/block.js'
import { openWal } from '../../src/index.js'
import { SimulatedFileSystem } from '../../src/testing.js'
import { directory, readAll, segmentsIn, threeSegments } from '../helpers/small-log.js'

const LARGEST = Number.MAX_SAFE_INTEGER - 1
const BLOCK_BYTES = 4096
const TOO_LARGE = [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]

/** A number of a block replaced, as only a program does it that seals the block again. */
function forge(fs: SimulatedFileSystem, path: string, offset: number, value: bigint, blocks = 1): void {
  const bytes = fs.contents(path)
  for (let i = 0; i < blocks; i++) {
    const block = bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES)
    block.writeBigUInt64LE(value, offset)
    sealBlock(block, block.toString('latin1', 0, 8))
  }
  fs.place(path, bytes)
}

describe('numbers beyond what JavaScript counts', () => {
  it.each(['binary', 'ndjson'] as const)('an index is never one: the log is full before, format %s', async format => {
    const fs = new SimulatedFileSystem()
    const wal = await openWal(directory, { fileSystem: fs, format, startIndex: LARGEST - 1 })
    expect([await wal.append('one'), await wal.append('two')]).toEqual([LARGEST - 1, LARGEST])
    const code = 'WAL_INDEX_OUT_OF_RANGE'
    await expect(wal.append('three')).rejects.toMatchObject({ code })
    await expect(wal.appendBatch(['three', 'four'])).rejects.toMatchObject({ code })
    await wal.close()
    const again = await openWal(directory, { fileSystem: fs })
    expect((await readAll(again)).map(({ index }) => index)).toEqual([LARGEST - 1, LARGEST])
    await expect(again.append('three')).rejects.toMatchObject({ code })
  })

  it('in the header of a segment are refused: id, first index, epoch, published end and index, predecessor', async () => {
    for (const offset of [48, 56, 64, 80, 208, 216, 240, 248, 256])
      for (const value of TOO_LARGE) {
        const { fs } = await threeSegments()
        forge(fs, (await segmentsIn(fs)).at(-1)!, offset, value)
        const opening = openWal(directory, { fileSystem: fs })
        await expect(opening, `${value} at ${offset}`).rejects.toMatchObject({ code: 'WAL_CORRUPT' })
      }
  })

  it('in the manifest are refused: first index, newest segment, floor', async () => {
    for (const field of [96, 104, 112, 120, 128])
      for (const value of TOO_LARGE) {
        const { fs } = await threeSegments()
        forge(fs, `${directory}/manifest`, 48 + field, value, 2)
        const opening = openWal(directory, { fileSystem: fs })
        await expect(opening, `${value} at ${field}`).rejects.toMatchObject({ code: 'WAL_CORRUPT' })
      }
  })
})
