import fc from 'fast-check'
import { expect, test } from 'vitest'
import { IndexRuns } from '../../src/streams/index-runs.js'

test('it is a queue of ascending indexes, whatever the gaps', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 4 })), steps => {
      const runs = new IndexRuns()
      let index = 0
      const added = steps.map(step => (index += step))
      for (const one of added) runs.add(one)
      expect(runs.last).toBe(index)
      for (let one = 1; one <= index; one++) expect(runs.take(one)).toBe(added.includes(one))
      expect(runs.isEmpty).toBe(true)
      expect(runs.last).toBe(0)
    }),
  )
})

test('only the lowest can be taken', () => {
  const runs = new IndexRuns()
  runs.add(5)
  runs.add(6)
  expect([runs.take(6), runs.take(4), runs.take(5), runs.take(5), runs.take(6)]).toEqual([
    false,
    false,
    true,
    false,
    true,
  ])
})
