import { describe } from 'vitest'
import { appendSuite } from './append-suite.js'
import { realWorlds } from './world.js'

// The contract on the real file system. ('never' where durability is no part of the question: these tests wait for no disk.)
describe.each([
  ['the defaults', {}],
  ['small segments and no syncs', { segmentMaxBytes: 1000, rotation: { maxEntries: 20 }, sync: 'never' }],
] as const)('a log on the real file system with %s', (_name, options) => {
  appendSuite(realWorlds(options))
})
