import { expect, test } from 'vitest'
import { bytes } from '../../src/codec/encoding.js'
import type { Format } from '../../src/codec/format.js'
import { allocateMemory, ENDS_BATCH, EntryPositions } from '../../src/codec/memory.js'
import type { Piece } from '../../src/log/recent.js'
import { Slices } from '../../src/log/slices.js'
import { Turns } from '../../src/log/turns.js'
import type { Chunk } from '../../src/types.js'
import { openFileLog } from '../helpers/open-file-log.js'

const ENTRY_BYTES = 1024

/** A format that counts the entries it is asked for. */
function countingFormat(): { format: Format; made: () => number } {
  let made = 0
  const format: Pick<Format, 'materialize'> = {
    materialize(_window, _found, { from, to, firstIndex }) {
      made += to - from
      return Array.from({ length: to - from }, (_, i) => ({
        index: firstIndex + i,
        term: 0,
        timestamp: 0,
        data: Buffer.alloc(0),
        checksum: 0,
      }))
    },
  }
  return { format: format as Format, made: () => made }
}

function commit(count: number, isShared: boolean): Piece {
  const found = new EntryPositions()
  for (let i = 0; i < count; i++) found.push((i * ENTRY_BYTES) | ENDS_BATCH)
  const length = count * ENTRY_BYTES
  return { window: { ...allocateMemory(length), start: 0, length }, found, firstIndex: 1, isShared }
}

const unlimited = { maxBytes: undefined, maxEntries: undefined }

test('the entries of a commit are made once for all who read it together', () => {
  const { format, made } = countingFormat()
  const slices = new Slices(format)
  const piece = commit(1000, true)
  let from = 0
  while (from < 1000) {
    const range = { from, available: 1000, ...unlimited }
    const chunks = Array.from({ length: 16 }, (_, reader) =>
      reader % 2 === 0 ? slices.shared(piece, range) : slices.own(piece, range, true),
    )
    expect(new Set(chunks).size).toBe(16)
    expect(new Set(chunks.map(chunk => chunk[0])).size).toBe(9)
    from += chunks[0]!.length
  }
  expect(from).toBe(1000)
  expect(made()).toBe(1000)
})

test('what a lone reader gets, and what was read from a file, is its own from the start', () => {
  const { format, made } = countingFormat()
  const slices = new Slices(format)
  const range = { from: 0, available: 10, ...unlimited }
  const alone = slices.own(commit(10, true), range, false)
  const piece = commit(10, false)
  const [one, other] = [slices.own(piece, range, true), slices.own(piece, range, true)]
  expect(made()).toBe(30)
  for (const entry of [...alone, ...one, ...other]) expect(Object.isFrozen(entry)).toBe(false)
})

test('another range, another limit and another commit get what they ask for', () => {
  const slices = new Slices(countingFormat().format)
  const piece = commit(20, true)
  const range = { from: 0, available: 20, ...unlimited }
  const lengths = [
    slices.shared(piece, range),
    slices.shared(piece, { ...range, maxEntries: 7 }),
    slices.shared(piece, { ...range, maxBytes: 3 * ENTRY_BYTES }),
    slices.shared(piece, { ...range, available: 5 }),
    slices.shared(piece, { ...range, from: 19 }),
    slices.shared(commit(4, true), { ...range, available: 4 }),
  ].map(entries => entries.length)
  expect(lengths).toEqual([20, 7, 3, 5, 1, 4])
})

test('turns are taken one after the other, never within the call, and what asks again comes last', async () => {
  const turns = new Turns()
  const taken: string[] = []
  const taker = (name: string, again: number) => ({
    takeTurn() {
      taken.push(name)
      if (again-- > 0) turns.ask(this)
    },
  })
  turns.ask(taker('a', 2))
  turns.ask(taker('b', 0))
  turns.ask(taker('c', 1))
  expect(taken).toEqual([])
  await new Promise(resolve => setImmediate(resolve))
  expect(taken.join('')).toBe('abcaca')
})

test('readers deal with their chunks one after the other, so that few are alive at a time', async () => {
  const { log, close } = await openFileLog({ encoding: bytes() })
  const READERS = 50
  const ENTRIES = 5000
  let [alive, most, read] = [0, 0, 0]
  const original = Slices.prototype.own
  Slices.prototype.own = function own(this: Slices, ...range) {
    most = Math.max(most, ++alive)
    return original.apply(this, range)
  }
  const follow = async () => {
    const cursor = log.cursor({ live: true, to: ENTRIES })
    for (let chunk: Chunk<Buffer> | undefined; (chunk = await cursor.next()) !== undefined; ) {
      alive--
      read += chunk.length
    }
  }
  try {
    const following = Array.from({ length: READERS }, follow)
    for (let n = 1; n <= ENTRIES; n++) log.accept(Buffer.alloc(256, n))
    await log.committed(ENTRIES)
    await Promise.all(following)
  } finally {
    Slices.prototype.own = original
  }
  expect(read).toBe(READERS * ENTRIES)
  expect(most).toBeLessThanOrEqual(4)
  await close()
})

test('readers that wait at the end are handed what is written together from memory, however much that is', async () => {
  const options = { encoding: bytes(), segmentMaxBytes: 64 << 20 }
  const { log, close } = await openFileLog(options)
  const ENTRIES = 12
  const behind: number[] = []
  const follow = async () => {
    const cursor = log.cursor({ live: true, to: ENTRIES, onFellBehind: index => behind.push(index) })
    while ((await cursor.next()) !== undefined);
  }
  const following = [follow(), follow()]
  await new Promise(resolve => setImmediate(resolve))
  for (let n = 1; n <= ENTRIES; n++) log.accept(Buffer.alloc(1_055_000, n))
  await log.committed(ENTRIES)
  await Promise.all(following)
  expect(behind).toEqual([])
  await close()
})
