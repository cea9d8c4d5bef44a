import { describe, expect, it } from 'vitest'
import { bytes } from '../../src/codec/encoding.js'
import type { FileLog } from '../../src/log/file-log.js'
import { openFileLog } from '../helpers/open-file-log.js'

/** Reads an entry of each of ten segments and returns how many bytes of their offset tables are kept. */
async function tableBytesKept(readCacheBytes: number): Promise<number> {
  const options = { encoding: bytes(), readCacheBytes, rotation: { maxEntries: 1000 } }
  const { log, close } = await openFileLog(options)
  const fileLog = log as unknown as FileLog<string, Buffer>
  for (let i = 1; i <= 10_000; i++) fileLog.accept(`entry ${i}`)
  await fileLog.sync()
  for (let round = 0; round < 2; round++) {
    for (let index = 500; index < 10_000; index += 1000) {
      expect(fileLog.getSync(index).data.toString()).toBe(`entry ${index}`)
      expect((await fileLog.get(index)).data.toString()).toBe(`entry ${index}`)
    }
  }
  const sealed = fileLog.segments.filter(segment => segment.sealed)
  const kept = sealed.reduce((sum, { offsets }) => sum + (offsets?.slots.byteLength ?? 0), 0)
  await close()
  return kept
}

describe('readCacheBytes', () => {
  it('keeps the tables of all segments where they fit', async () => {
    expect(await tableBytesKept(1 << 20)).toBeGreaterThan(9 * 4000)
  })

  it('bounds what they take together, and every entry can still be read', async () => {
    expect(await tableBytesKept(20_000)).toBeLessThan(15_000)
  })

  it('of nothing leaves the table of the segment in use, at most', async () => {
    expect(await tableBytesKept(0)).toBeLessThan(10_000)
  })
})

it('of a log in which nobody looks for an entry by index no table of a sealed segment is kept', async () => {
  const { log, close } = await openFileLog({ encoding: bytes() })
  const fileLog = log as unknown as FileLog<string, Buffer>
  const tables = () => fileLog.segments.filter(({ sealed, offsets }) => sealed && offsets !== undefined).length
  const fillSegment = async () => {
    for (let i = 1; i <= 100; i++) fileLog.accept(`entry ${i}`)
    await fileLog.rotate()
  }
  await fillSegment()
  await fillSegment()
  await log.committed(fileLog.accept('the next segment begins'))
  const cursor = log.cursor({ live: false })
  while ((await cursor.next()) !== undefined);
  expect(tables()).toBe(0)
  expect(fileLog.getSync(150).data.toString()).toBe('entry 50')
  await fillSegment()
  await fillSegment()
  expect(tables()).toBe(3)
  expect((await fileLog.get(1)).data.toString()).toBe('entry 1')
  await close()
})
