import { once } from 'node:events'
import { expect, test } from 'vitest'
import { bytes } from '../../src/codec/encoding.js'
import { writable } from '../../src/streams/writable.js'
import { writableSuite } from '../contract/writable-suite.js'
import { MemoryLog } from '../helpers/memory-log.js'
import { openMemoryLog } from '../helpers/open-memory-log.js'
import { turns } from '../helpers/waiting.js'

writableSuite(openMemoryLog)

test('never more than the mark and one chunk lie accepted and not committed', async () => {
  const log = new MemoryLog({ encoding: bytes(), highWaterMark: 1000 })
  const stream = writable(log)
  for (let n = 0; n < 500; n++) stream.write(Buffer.alloc(90))
  stream.end()
  await once(stream, 'finish')
  expect(log.maxPendingBytes).toBeGreaterThan(1000)
  expect(log.maxPendingBytes).toBeLessThanOrEqual(1000 + 90)
})

test('a stream that is done leaves no listener at the log', async () => {
  const log = new MemoryLog({ encoding: bytes() })
  const [ended, destroyed] = [writable(log), writable(log)]
  expect(log.endListeners.size).toBe(2)
  ended.end('x')
  destroyed.destroy()
  await once(ended, 'close')
  await turns()
  expect(log.endListeners.size).toBe(0)
})
