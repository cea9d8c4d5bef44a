import { from, lastValueFrom, take } from 'rxjs'
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
