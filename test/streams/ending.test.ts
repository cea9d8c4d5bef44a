import { afterEach, expect, test } from 'vitest'
import { text } from '../../src/codec/encoding.js'
import { writable } from '../../src/streams/writable.js'
import { MemoryLog } from '../helpers/memory-log.js'
import { turns } from '../helpers/waiting.js'

const events = ['uncaughtException', 'unhandledRejection'] as const
const restore: (() => void)[] = []
afterEach(() => {
  for (const undo of restore.splice(0)) undo()
})

/** What the process is told of, instead of the test runner. */
function overhear(): string[] {
  const heard: string[] = []
  for (const event of events) {
    const others = process.listeners(event as 'uncaughtException')
    const listener = (error: unknown) => void heard.push(`${event}: ${(error as Error).message}`)
    process.removeAllListeners(event)
    process.on(event, listener)
    restore.push(() => {
      process.removeAllListeners(event)
      for (const other of others) process.on(event, other)
    })
  }
  return heard
}

test('what a write callback throws after a wait is an uncaught exception, as with any stream', async () => {
  const heard = overhear()
  const log = new MemoryLog({ encoding: text(), highWaterMark: 1 })
  const stream = writable(log)
  stream.write('above the mark', () => {
    throw new Error('of the user')
  })
  await turns()
  expect(heard).toEqual(['uncaughtException: of the user'])
})
