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

test('a chunk that arrives all the same after an abort or a return() is not handed out', async () => {
  const entry = { index: 1, term: 0, timestamp: 0, data: 'late', checksum: 0 }
  const chunk = Object.assign([entry], { firstIndex: 1, lastIndex: 1 })
  const cursor = { nextIndex: 1, caughtUp: false, next: async () => chunk, close: () => undefined }
  const log = { cursor: () => cursor } as unknown as MemoryLog<string>
  const controller = new AbortController()
  const aborted = tail(log, { signal: controller.signal })
  const reading = aborted.next()
  controller.abort('reason')
  await expect(reading).rejects.toBe('reason')
  const left = tail(log)
  const waiting = left.next()
  await left.return?.()
  expect(await waiting).toEqual({ value: undefined, done: true })
})
