import { describe, expect, test } from 'vitest'
import type { Epoch, SegmentHeader } from '../../src/codec/format.js'
import type { Manifest } from '../../src/codec/manifest.js'
import { WalError } from '../../src/errors.js'
import { boundBy, buildChain, type SegmentFile } from '../../src/segments/chain.js'

const epochOf = (counter: number, startIndex = 1): Epoch => ({ counter, id: `${counter}`.repeat(16), startIndex })

/** A segment of the log 'log' that follows the one before it; `patch` for all that is unusual. */
function segment(
  id: number,
  firstIndex: number,
  patch: Partial<SegmentHeader> & { file?: Partial<SegmentFile> } = {},
): SegmentFile {
  const { file, ...rest } = patch
  const header = {
    logId: 'log',
    id,
    firstIndex,
    epoch: epochOf(1),
    begins: id === 1,
    predecessor: id === 1 ? undefined : linkTo(id - 1, firstIndex - 1),
    ...rest,
  } as SegmentHeader
  return { path: `/log/${id}`, id, firstIndex, header, contentStart: 4096, fileBytes: 10_000, ...file }
}

function linkTo(id: number, lastIndex: number, endOffset = 9000): NonNullable<SegmentHeader['predecessor']> {
  return { id, lastIndex, endOffset } as NonNullable<SegmentHeader['predecessor']>
}

const manifest = (patch: Partial<Manifest> = {}) =>
  ({ logId: 'log', firstIndex: 1, newestId: 1, epochs: [epochOf(1)], ...patch }) as Manifest

const idsOf = (files: readonly SegmentFile[]) => files.map(({ id }) => id)

function refusal(files: SegmentFile[], given = manifest()): WalError {
  try {
    buildChain(files, given)
  } catch (error) {
    if (error instanceof WalError && error.code === 'WAL_CORRUPT') return error
    throw error
  }
  throw new Error('the chain was accepted')
}

describe('the chain of segments', () => {
  const three = [segment(1, 1), segment(2, 11), segment(3, 21)]

  test('is followed from the newest to the one that holds the first index, whatever order the files come in', () => {
    for (const files of [three, [...three].reverse()]) {
      const chain = buildChain(files, manifest({ newestId: 3 }))
      expect(idsOf(chain.linked)).toEqual([1, 2, 3])
      expect([chain.firstIndex, chain.below, chain.dead]).toEqual([1, [], []])
    }
  })

  test('of a log whose creation was cut short is empty', () => {
    expect(buildChain([], manifest({ newestId: 0, firstIndex: 7 }))).toEqual({
      linked: [],
      firstIndex: 7,
      below: [],
      dead: [],
    })
  })

  test('a newer segment than the manifest knows belongs to it: a rotation was cut short', () => {
    expect(idsOf(buildChain(three, manifest({ newestId: 2 })).linked)).toEqual([1, 2, 3])
  })

  test('what lies wholly below the first index is not followed, whether it is there or not', () => {
    const chain = buildChain(three, manifest({ newestId: 3, firstIndex: 15 }))
    expect([idsOf(chain.linked), idsOf(chain.below), chain.firstIndex]).toEqual([[2, 3], [1], 15])
    expect(idsOf(buildChain(three.slice(1), manifest({ newestId: 3, firstIndex: 11 })).linked)).toEqual([2, 3])
  })

  test('the segment of the first index is needed, its predecessors are not', () => {
    expect(refusal(three.slice(1), manifest({ newestId: 3, firstIndex: 10 }))).toMatchObject({
      kind: 'missing',
      firstIndex: 10,
      lastIndex: 10,
    })
  })

  test('cut off by a truncation: dead if of an older epoch', () => {
    const cut = segment(4, 15, { epoch: epochOf(2, 15), predecessor: linkTo(2, 14) })
    const chain = buildChain([...three, cut], manifest({ newestId: 3 }))
    expect([idsOf(chain.linked), idsOf(chain.dead)]).toEqual([[1, 2, 4], [3]])
  })

  test('replaced after an unclean end: the successor names the same predecessor', () => {
    const replaced = segment(4, 21, { epoch: epochOf(2, 21), predecessor: linkTo(2, 20) })
    const chain = buildChain([...three, replaced], manifest({ newestId: 3 }))
    expect([idsOf(chain.linked), idsOf(chain.dead)]).toEqual([[1, 2, 4], [3]])
  })

  test('after a reset that the manifest has not noted the log begins where the newest does', () => {
    const reset = segment(4, 100, { begins: true, predecessor: undefined, epoch: epochOf(2, 100) })
    const chain = buildChain([...three, reset], manifest({ newestId: 3 }))
    expect([idsOf(chain.linked), chain.firstIndex, idsOf(chain.below)]).toEqual([[4], 100, [1, 2, 3]])
  })

  const refused: [string, SegmentFile[], Partial<Manifest>, object][] = [
    ['none there though the manifest names one', [], { newestId: 1 }, { kind: 'missing' }],
    ['the newest missing', three.slice(0, 2), { newestId: 3 }, { kind: 'missing' }],
    [
      'one in the middle missing',
      [three[0], three[2]] as SegmentFile[],
      { newestId: 3 },
      { kind: 'missing', lastIndex: 20 },
    ],
    [
      'the beginning missing',
      [segment(2, 11, { begins: true, predecessor: undefined })],
      { newestId: 2 },
      { kind: 'missing', lastIndex: 10 },
    ],
    ['another log', [segment(1, 1, { logId: 'other' })], {}, { kind: 'foreign', segment: '/log/1' }],
    ['another number than its name', [segment(1, 1, { id: 2 })], {}, { kind: 'duplicate' }],
    ['another first index than its name', [segment(1, 1, { firstIndex: 2 })], {}, { kind: 'duplicate' }],
    [
      'unlinked and of the same epoch',
      [...three, segment(4, 21, { predecessor: linkTo(2, 20) })],
      { newestId: 4 },
      { kind: 'duplicate', segment: '/log/3' },
    ],
    [
      'indexes that do not meet',
      [segment(1, 1), segment(2, 12, { predecessor: linkTo(1, 10) })],
      { newestId: 2 },
      { kind: 'missing' },
    ],
    [
      'shorter than its successor says',
      [segment(1, 1, { file: { fileBytes: 8999 } }), segment(2, 11)],
      { newestId: 2 },
      { kind: 'corrupt', offset: 8999, firstIndex: 1, lastIndex: 10 },
    ],
    [
      'an epoch that goes back',
      [segment(1, 1, { epoch: epochOf(2) }), segment(2, 11)],
      { newestId: 2 },
      { kind: 'foreign' },
    ],
    [
      'another history with the same epoch',
      [segment(1, 1, { epoch: { ...epochOf(1), id: 'f'.repeat(16) } }), segment(2, 11)],
      { newestId: 2 },
      { kind: 'foreign' },
    ],
  ]
  test.each(refused)('%s is refused', (_what, files, patch, expected) => {
    const error = refusal(files, manifest(patch))
    expect(error).toMatchObject(expected)
    expect(error.message).toMatch(/[.?!]$/)
  })
})

describe('what a claim of durability binds', () => {
  const claim = { epoch: epochOf(2, 11), segmentId: 3, offset: 5000, index: 30 }
  const chainOf = (...epochs: Epoch[]) => epochs.map((epoch, i) => segment(i + 1, 1 + i * 10, { epoch }))

  test('offset and index, in the segment and the epoch it was made in', () => {
    expect(boundBy(claim, chainOf(epochOf(1), epochOf(2), epochOf(2, 11)))).toEqual({ offset: 5000, lastIndex: 30 })
  })

  test('no offset in another segment', () => {
    expect(boundBy(claim, chainOf(epochOf(2), epochOf(2, 11)))).toEqual({ offset: 0, lastIndex: 30 })
  })

  test('of an older epoch only what lies below the start of all later ones', () => {
    expect(boundBy(claim, chainOf(epochOf(2), epochOf(3, 26), epochOf(4, 22)))).toEqual({ offset: 0, lastIndex: 21 })
    expect(boundBy(claim, chainOf(epochOf(2), epochOf(3, 99)))).toEqual({ offset: 0, lastIndex: 30 })
  })

  test('no offset of another history with the same counter', () => {
    const other = { ...epochOf(2, 11), id: 'f'.repeat(16) }
    expect(boundBy(claim, chainOf(epochOf(1), epochOf(2), other)).offset).toBe(0)
  })
})
