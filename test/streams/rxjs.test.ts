import { from, lastValueFrom, Subject, take } from 'rxjs'
import { expect, test } from 'vitest'
import { text } from '../../src/codec/encoding.js'
import { appendTo, observe } from '../../src/rxjs.js'
import { rxjsSuite } from '../contract/rxjs-suite.js'
import { MemoryLog } from '../helpers/memory-log.js'
import { walOver } from '../helpers/memory-wal.js'
import { openMemoryLog } from '../helpers/open-memory-log.js'
import { turns } from '../helpers/waiting.js'

rxjsSuite(async options => {
  const opened = await openMemoryLog(options)
  return { ...opened, wal: walOver(opened.log) }
})

test('appendTo reads with one cursor, and with another one where others have appended much meanwhile', async () => {
  const log = new MemoryLog({ encoding: text() })
  const wal = walOver(log)
  const tails: unknown[] = []
  const tail = wal.tail.bind(wal) as (from?: number) => ReturnType<typeof wal.tail>
  wal.tail = (from?: unknown) => {
    tails.push(from)
    return tail(from as number)
  }
  const source = new Subject<string>()
  const done = lastValueFrom(source.pipe(appendTo(wal)))
  for (let n = 0; n < 10; n++) source.next('near')
  for (let n = 0; n < 1000; n++) log.accept('other')
  source.next('far')
  source.complete()
  expect((await done).index).toBe(1011)
  expect(tails).toEqual([1, 1011])
})

test('no cursor lies open once a subscriber has left, was served or failed', async () => {
  const log = new MemoryLog({ encoding: text() })
  const wal = walOver(log)
  expect(log.openCursors.size).toBe(0)
  await lastValueFrom(from(['a', 'b']).pipe(appendTo(wal)))
  await lastValueFrom(observe(wal, { live: false }))
  await lastValueFrom(observe(wal).pipe(take(1)))
  await lastValueFrom(observe(wal, { project: () => [1] }).pipe(take(1)))
  await expect(lastValueFrom(observe(wal, { project: () => Promise.reject('no') }))).rejects.toBe('no')
  await turns()
  expect(log.openCursors.size).toBe(0)
})
