import { describe } from 'vitest'
import { openFileLog } from '../helpers/open-file-log.js'
import { cursorSuite } from './cursor-suite.js'
import { readableSuite } from './readable-suite.js'
import { type OpenWal, rxjsSuite } from './rxjs-suite.js'
import { transactionSuite } from './transaction-suite.js'
import { transformSuite } from './transform-suite.js'
import { writableSuite } from './writable-suite.js'

// In one segment, and with a new one every few entries.
describe.each([
  ['large segments', {}],
  ['small segments', { segmentMaxBytes: 2000, rotation: { maxEntries: 50 } }],
  ['large segments of ndjson', { format: 'ndjson' }],
  ['small segments of ndjson', { format: 'ndjson', segmentMaxBytes: 2000, rotation: { maxEntries: 50 } }],
] as const)('the real log with %s', (_name, more) => {
  const open: OpenWal = options => openFileLog({ ...options, ...more })
  cursorSuite(open)
  readableSuite(open)
  transformSuite(open)
  writableSuite(open)
  transactionSuite(open)
  rxjsSuite(open)
})
