import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { openWal } from '../../src/index.js'
import { SimulatedFileSystem } from '../../src/testing.js'
import type { Wal } from '../../src/types.js'

type BytesLog = Wal<Buffer, Uint8Array | string>

const SEGMENTS = 8
const ENTRIES_PER_SEGMENT = 400
/** Room for the whole tables of two segments, and for what is left of those of all. */
const READ_CACHE_BYTES = 12_000

const dataOf = (index: number) => `entry ${index} ${'x'.repeat((index * 7919) % 300)}`

describe.each(['binary', 'ndjson'] as const)('get where the offset tables do not fit, format %s', format => {
  let fs: SimulatedFileSystem
  let wal: BytesLog
  beforeEach(async () => {
    fs = new SimulatedFileSystem()
    wal = await openWal('/log', { fileSystem: fs, format, readCacheBytes: READ_CACHE_BYTES })
    for (let segment = 0; segment < SEGMENTS; segment++) {
      await fill(wal, segment)
      await wal.rotate()
    }
  })

  /** Entries alone in their commit, in batches, in transactions: what lies between two entries differs. */
  async function fill(log: BytesLog, segment: number): Promise<void> {
    const end = (segment + 1) * ENTRIES_PER_SEGMENT
    for (let turn = 0; log.lastIndex < end; turn++) {
      const next = log.lastIndex + 1
      const batch = Array.from({ length: Math.min(1 + ((turn * 13) % 40), end - log.lastIndex) }, (_, i) =>
        dataOf(next + i),
      )
      if (turn % 3 === 0) await log.append(batch[0]!)
      else if (turn % 3 === 1) await log.appendBatch(batch)
      else {
        const transaction = log.transaction()
        for (const data of batch) transaction.append(data)
        await transaction.commit()
      }
    }
  }

  const size = SEGMENTS * ENTRIES_PER_SEGMENT

  it('gives every entry, in whatever order they are asked for', async () => {
    for (let round = 0; round < 2; round++) {
      for (let i = 1, index = 1; i <= size; i++, index = ((index + 1237) % size) + 1) {
        expect(wal.getSync(index).data.toString()).toBe(dataOf(index))
        if (i % 7 === 0) expect(await wal.get(index)).toMatchObject({ index, data: Buffer.from(dataOf(index)) })
      }
    }
    await wal.close()
  })

  it('reads a few kilobytes for one, and no segment again', async () => {
    let reads = 0
    let bytes = 0
    const { openSync } = fs
    fs.openSync = path => {
      const opened = openSync.call(fs, path)
      const { readSync } = opened
      opened.readSync = (...args) => {
        reads++
        bytes += args[2]
        return readSync.apply(opened, args)
      }
      return opened
    }
    await wal.close()
    wal = await openWal('/log', { fileSystem: fs, readCacheBytes: READ_CACHE_BYTES })
    for (let index = 1; index <= size; index += ENTRIES_PER_SEGMENT) wal.getSync(index)
    reads = 0
    bytes = 0
    for (let index = 17; index <= size; index += 31) wal.getSync(index)
    const gets = Math.floor((size - 17) / 31) + 1
    expect(reads).toBe(gets)
    expect(bytes / gets).toBeLessThan(6000)
    await wal.close()
  })

  it('tells of damage on the way to an entry, as reading through would', async () => {
    await wal.close()
    const directory = mkdtempSync(join(tmpdir(), 'walrus-thin-'))
    wal = await openWal(directory, { format, readCacheBytes: READ_CACHE_BYTES })
    for (let segment = 0; segment < SEGMENTS; segment++) {
      await fill(wal, segment)
      await wal.rotate()
    }
    for (let index = 1; index <= size; index += ENTRIES_PER_SEGMENT) wal.getSync(index)
    const { path } = wal.segments()[0]!
    const bytes = readFileSync(path)
    const stored = Buffer.from('entry 201').toString(format === 'binary' ? 'latin1' : 'base64')
    const at = bytes.indexOf(stored)
    // In the binary format this hits the entry's header, with its length; in the other one its line.
    for (let i = at - 30; i < at + 4; i++) bytes[i]! ^= 0x55
    writeFileSync(path, bytes)
    const seen = new Map<number, string>()
    for (let index = 190; index <= 215; index++) {
      try {
        expect(wal.getSync(index).data.toString()).toBe(dataOf(index))
        seen.set(index, 'right')
      } catch (error) {
        expect(error).toMatchObject({ code: 'WAL_CORRUPT' })
        seen.set(index, 'corrupt')
      }
    }
    expect([seen.get(190), seen.get(201)]).toEqual(['right', 'corrupt'])
    await wal.close()
    rmSync(directory, { recursive: true })
  })
})
