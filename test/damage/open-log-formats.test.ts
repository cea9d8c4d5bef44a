import { describe, expect, it } from 'vitest'
import { openWal } from '../../src/index.js'
import { SimulatedFileSystem } from '../../src/testing.js'
import { directory, flipBit, readAll, segmentsIn } from '../helpers/small-log.js'

// A log that was opened when all was well, and whose first segment rots afterwards.
describe.each(['binary', 'ndjson'] as const)('a byte that rots under an open log, format %s', format => {
  async function rotten() {
    const fs = new SimulatedFileSystem()
    const wal = await openWal(directory, { fileSystem: fs, format })
    for (let n = 1; n <= 3; n++) await wal.append(`"entry ${n}"`)
    await wal.rotate()
    await wal.append('"entry 4"')
    await wal.close()
    const again = await openWal(directory, { fileSystem: fs })
    const [path = ''] = await segmentsIn(fs)
    flipBit(fs, path, fs.contents(path).indexOf('entry 2'))
    return { wal: again, path }
  }

  it('is noticed by every way of reading, with segment and index; other entries can be read', async () => {
    const { wal, path } = await rotten()
    const damage = { code: 'WAL_CORRUPT', segment: path, firstIndex: expect.any(Number), offset: expect.any(Number) }
    await expect(wal.get(2)).rejects.toMatchObject(damage)
    expect(() => wal.getSync(2)).toThrow(expect.objectContaining(damage))
    await expect(wal.getRange(1, 3)).rejects.toMatchObject(damage)
    await expect(readAll(wal)).rejects.toMatchObject(damage)
    expect(String((await wal.get(4)).data)).toBe('"entry 4"')
    expect(await wal.append('"entry 5"')).toBe(5)
    await wal.close()
  })

  it('is noticed by a tail, after every entry before it', async () => {
    const { wal, path } = await rotten()
    const seen: number[] = []
    const reading = (async () => {
      for await (const { index } of wal.tail()) seen.push(index)
    })()
    await expect(reading).rejects.toMatchObject({ code: 'WAL_CORRUPT', segment: path })
    expect([[], [1]]).toContainEqual(seen)
    await wal.close()
  })
})
