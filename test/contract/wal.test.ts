import { describe } from 'vitest'
import { appendSuite } from './append-suite.js'
import { followSuite, idleCursorSuite } from './follow-suite.js'
import { readSuite } from './read-suite.js'
import { sideBySideSuite } from './side-by-side-suite.js'
import { heldWorlds, realWorlds } from './world.js'

describe.each([
  ['', {}],
  [', written by a thread', { writerThread: true }],
] as const)('a log on the real file system%s', (_how, options) => {
  const worlds = realWorlds(options)
  appendSuite(worlds)
  readSuite(worlds)
  sideBySideSuite(worlds)
  followSuite(worlds)
  idleCursorSuite(worlds)
})

describe.each([['binary'], ['ndjson']] as const)("a log of many segments on a simulated disk, format '%s'", format => {
  const worlds = heldWorlds({ format, segmentMaxBytes: 5000, rotation: { maxEntries: 20 } })
  appendSuite(worlds)
  readSuite(worlds)
  sideBySideSuite(worlds)
  followSuite(worlds)
})
