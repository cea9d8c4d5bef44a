import { once } from 'node:events'
import { expect, test } from 'vitest'
import { text } from '../../src/codec/encoding.js'
import { transform } from '../../src/streams/transform.js'
import { transformSuite } from '../contract/transform-suite.js'
import { MemoryLog } from '../helpers/memory-log.js'
import { openMemoryLog } from '../helpers/open-memory-log.js'
import { turns } from '../helpers/waiting.js'

transformSuite(openMemoryLog)

test("it finishes when its entries are as durable as 'finish' promises, also while the log is being closed", async () => {
  const log = new MemoryLog({ encoding: text() })
  let settle: () => void = () => undefined
  log.settled = () => new Promise(resolve => (settle = resolve))
  const stream = transform(log)
  const entries = stream.toArray()
  stream.end('a')
  await turns()
  const closed = log.close()
  await turns()
  expect([stream.writableFinished, stream.destroyed]).toEqual([false, false])
  settle()
  expect(await entries).toHaveLength(1)
  expect(stream.writableFinished).toBe(true)
  await closed
})

test('a transform that is done leaves no cursor and no listener at the log', async () => {
  const log = new MemoryLog({ encoding: text() })
  const [ended, destroyed] = [transform(log), transform(log)]
  destroyed.write('a')
  destroyed.destroy()
  ended.end('b')
  expect(await ended.toArray()).toHaveLength(1)
  if (!ended.closed) await once(ended, 'close')
  expect([log.openCursors.size, log.endListeners.size, log.takeBackListeners.size]).toEqual([0, 0, 0])
})
