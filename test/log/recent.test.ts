import { expect, test } from 'vitest'
import { allocateMemory, EntryPositions } from '../../src/codec/memory.js'
import { type Piece, RecentCommits } from '../../src/log/recent.js'
import { heldOf } from '../helpers/garbage.js'

const PIECE_BYTES = 1000

/** A piece of one entry. */
function piece(index: number): Piece {
  const found = new EntryPositions()
  found.push(0)
  return { window: { ...allocateMemory(PIECE_BYTES), start: 0, length: PIECE_BYTES }, found, firstIndex: index }
}

test('it finds the last commits, up to its limit', () => {
  const recent = new RecentCommits(10 * PIECE_BYTES)
  for (let index = 1; index <= 5000; index++) recent.add(piece(index))
  expect(recent.find(4990)).toBeUndefined()
  for (let index = 4991; index <= 5000; index++) expect(recent.find(index)?.firstIndex).toBe(index)
  expect(recent.find(5001)).toBeUndefined()
})

test('commits that fell out of it hold no memory', async () => {
  const recent = new RecentCommits(10 * PIECE_BYTES)
  const references: WeakRef<object>[] = []
  for (let index = 1; index <= 500; index++) {
    const added = piece(index)
    references.push(new WeakRef(added))
    recent.add(added)
  }
  expect(await heldOf(references)).toBeLessThanOrEqual(10)
  expect(recent.find(500)).toBeDefined()
})

test('a gap in the indexes empties it', () => {
  const recent = new RecentCommits(10 * PIECE_BYTES)
  for (const index of [1, 2, 7]) recent.add(piece(index))
  expect([1, 2, 7].map(index => recent.find(index)?.firstIndex)).toEqual([undefined, undefined, 7])
})

test('however small they are, it keeps a few thousand at most', () => {
  const recent = new RecentCommits(1 << 30)
  for (let index = 1; index <= 10_000; index++) recent.add(piece(index))
  expect(recent.find(10_000 - 4096)).toBeUndefined()
  expect(recent.find(10_000 - 4095)?.firstIndex).toBe(10_000 - 4095)
  expect(recent.find(10_000)?.firstIndex).toBe(10_000)
})

test('what somebody waits for stays beyond the limit, until there is nobody left', () => {
  const recent = new RecentCommits(10 * PIECE_BYTES)
  for (let index = 1; index <= 30; index++) recent.add(piece(index), 5)
  expect([4, 5, 30].map(index => recent.find(index)?.firstIndex)).toEqual([undefined, 5, 30])
  recent.add(piece(31))
  expect([21, 22, 31].map(index => recent.find(index)?.firstIndex)).toEqual([undefined, 22, 31])
})

test('what all have read goes at once', () => {
  const recent = new RecentCommits(10 * PIECE_BYTES)
  for (let index = 1; index <= 5; index++) recent.add(piece(index))
  recent.dropBelow(4)
  expect([3, 4, 5].map(index => recent.find(index)?.firstIndex)).toEqual([undefined, 4, 5])
  recent.dropBelow(6)
  expect(recent.find(5)).toBeUndefined()
  recent.add(piece(6))
  expect(recent.find(6)?.firstIndex).toBe(6)
})
