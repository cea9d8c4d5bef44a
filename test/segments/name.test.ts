import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { classifyNames, indexName, parseSegmentName, segmentName } from '../../src/segments/name.js'

const number = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })

describe('names of segments', () => {
  test('hold their numbers, and sort as they do', () => {
    fc.assert(
      fc.property(number, number, number, number, (a, b, c, d) => {
        expect(parseSegmentName(segmentName(a, b))).toEqual({ id: a, firstIndex: b })
        const [one, other] = [segmentName(a, b), segmentName(c, d)]
        if (a !== c) expect(one < other).toBe(a < c)
      }),
    )
  })

  test.each([
    ['1-1.wal'],
    ['0000000000000001-0000000000000001.WAL'],
    ['0000000000000001-0000000000000001.wal.bak'],
    ['0000000000000001-0000000000000001.wal\n'],
    [' 0000000000000001-0000000000000001.wal'],
    ['00000000000000001-0000000000000001.wal'],
    ['0000000000000001_0000000000000001.wal'],
    ['000000000000000a-0000000000000001.wal'],
    ['٠000000000000001-0000000000000001.wal'],
    [''],
  ])('%j is none', name => {
    expect(parseSegmentName(name)).toBe(undefined)
  })

  test('any other name is foreign, and no name is two things', () => {
    const own = ['manifest', 'mark', 'lock', 'consumers', 'next.tmp', 'manifest.tmp', 'mark.tmp']
    fc.assert(
      fc.property(
        fc.uniqueArray(
          fc.oneof(
            fc.string(),
            fc.constantFrom(...own),
            number.map(n => segmentName(n, n)),
          ),
        ),
        names => {
          const catalog = classifyNames(names)
          const segments = catalog.segments.map(({ name }) => name)
          const known = [...segments, ...catalog.temporary, ...catalog.indexes, ...catalog.foreign]
          const quiet = names.filter(name => ['manifest', 'mark', 'lock', 'consumers'].includes(name))
          expect([...known, ...quiet].sort()).toEqual([...names].sort())
          expect([catalog.hasManifest, catalog.hasMark]).toEqual([names.includes('manifest'), names.includes('mark')])
          const ids = catalog.segments.map(({ id }) => id)
          expect(ids).toEqual([...ids].sort((a, b) => a - b))
        },
      ),
    )
  })

  test('the index of a segment has its name', () => {
    const name = indexName(`/log/${segmentName(3, 7)}`)
    expect(name).toBe('/log/0000000000000003-0000000000000007.idx')
    expect(classifyNames([name.slice(5)]).indexes).toHaveLength(1)
  })
})
