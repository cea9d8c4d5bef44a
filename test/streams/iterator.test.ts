import { expect, test } from 'vitest'
import { text } from '../../src/codec/encoding.js'
import { cursorSuite, tail } from '../contract/cursor-suite.js'
import { MemoryLog } from '../helpers/memory-log.js'
import { openMemoryLog } from '../helpers/open-memory-log.js'

cursorSuite(openMemoryLog)

test('a cursor that was left, aborted or has failed lies open nowhere', async () => {
  const log = new MemoryLog({ encoding: text() })
  const controller = new AbortController()
  const [left, aborted] = [tail(log), tail(log, { signal: controller.signal })]
  expect(log.openCursors.size).toBe(2)
  await left.return?.()
  controller.abort()
  await expect(aborted.next()).rejects.toThrow()
  expect(log.openCursors.size).toBe(0)
})

test('with a signal that has aborted nothing is opened', () => {
  const log = new MemoryLog({ encoding: text() })
  tail(log, { signal: AbortSignal.abort() })
  expect(log.openCursors.size).toBe(0)
})

test('entries of one chunk are handed out without reading again', async () => {
  const log = new MemoryLog({ encoding: text() })
  log.acceptBatch([{ data: 'a' }, { data: 'b' }, { data: 'c' }])
  log.commit()
  const cursor = tail(log)
  for (const data of ['a', 'b', 'c']) expect((await cursor.next()).value?.data).toBe(data)
  expect([...log.openCursors][0]?.reads).toBe(1)
})
