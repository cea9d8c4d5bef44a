import { once } from 'node:events'
import { expect, test } from 'vitest'
import { text } from '../../src/codec/encoding.js'
import { open, readableSuite } from '../contract/readable-suite.js'
import { MemoryLog } from '../helpers/memory-log.js'
import { openMemoryLog } from '../helpers/open-memory-log.js'

readableSuite(openMemoryLog)

test('a destroyed one leaves no cursor behind', async () => {
  const log = new MemoryLog({ encoding: text() })
  const stream = open(log)
  stream.resume()
  expect(log.openCursors.size).toBe(1)
  stream.destroy()
  await once(stream, 'close')
  expect(log.openCursors.size).toBe(0)
})
