import { describe } from 'vitest'
import { abortSuite } from './abort-suite.js'
import { closeSuite } from './close-suite.js'
import { eventSuite } from './event-suite.js'
import { openSuite } from './open-suite.js'
import { pressureSuite } from './pressure-suite.js'
import { rotationSuite } from './rotation-suite.js'
import { truncateSuite } from './truncate-suite.js'
import { watermarkSuite } from './watermark-suite.js'
import { heldWorlds } from './world.js'

// What depends on when the disk answers and what time it is, on a simulated disk by a clock that stands still.
describe.each([
  ['direct where the policy allows', {}],
  ['buffered', { io: 'buffered' }],
  ['ndjson', { format: 'ndjson' }],
  ['written by a thread', { writerThread: true }],
] as const)('a log on a held disk: %s', (_how, options) => {
  const worlds = heldWorlds(options)
  watermarkSuite(worlds)
  pressureSuite(worlds)
  rotationSuite(worlds)
  eventSuite(worlds)
  truncateSuite(worlds)
  abortSuite(worlds)
  closeSuite(worlds)
  openSuite(worlds)
})
