import { getEventListeners, once } from 'node:events'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, test } from 'vitest'
import { text } from '../../src/codec/encoding.js'
import type { Log } from '../../src/contract.js'
import { readableRequest } from '../../src/streams/read-options.js'
import { readable } from '../../src/streams/readable.js'
import type { Entry, EntryStream, TailOptions } from '../../src/types.js'
import { rejection, turns, until, walError } from '../helpers/waiting.js'
import type { OpenLog } from './controlled-log.js'

export function open<T>(log: Log<T, never>, options?: TailOptions<T> & { live?: boolean }): EntryStream<T> {
  return readable(log, readableRequest(options))
}

/** What `readable()` promises over any log. */
export function readableSuite(openLog: OpenLog): void {
  const count = 2000
  async function openFilled(entries = count) {
    const opened = await openLog({ encoding: text() })
    opened.log.acceptBatch(Array.from({ length: entries }, (_, i) => ({ data: `${i + 1}` })))
    await opened.log.committed(entries)
    return opened
  }
  const indexes = (entries: Entry<unknown>[]) => entries.map(entry => entry.index)
  const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

  describe('readable', () => {
    test.each([
      ['toArray', (stream: EntryStream<string>) => stream.toArray() as Promise<Entry<string>[]>],
      ['for await', collectByIterating],
      ["'data'", collectByData],
      ['read()', collectByReading],
      ["read() in 'data'", collectByBoth],
      ['a slow Writable', collectSlowly],
    ])('gives every entry once, in order, and ends: %s', async (_how, collect) => {
      const { log, close } = await openFilled()
      expect(indexes(await collect(open(log, { live: false })))).toEqual(upTo(count))
      expect(indexes(await collect(open(log, { live: false, from: 1990, to: 1995 })))).toEqual(upTo(1995, 1990))
      await close()
    })

    test('is live unless told otherwise, and ends when the log is closed', async () => {
      const { log, close } = await openFilled(3)
      const stream = open(log)
      const seen: Entry<string>[] = []
      stream.on('data', entry => seen.push(entry))
      await until(() => seen.length === 3)
      await log.committed(log.accept('4'))
      await until(() => seen.length === 4)
      const ended = once(stream, 'end')
      await close()
      await ended
      expect(indexes(seen)).toEqual([1, 2, 3, 4])
    })

    test('a filter that drops all of the first chunks does not stop it', async () => {
      const { log, close } = await openFilled()
      const stream = open(log, { live: false, filter: ({ index }) => index === 1999 })
      expect(indexes(await stream.toArray())).toEqual([1999])
      await close()
    })

    test('reads no further than one chunk ahead of who reads it', async () => {
      const { log, close } = await openFilled()
      const stream = open(log, { chunkMaxBytes: 100 })
      const first = stream.iterator({ destroyOnReturn: false })
      await first.next()
      await turns(10)
      expect(stream.readableLength).toBeLessThan(150)
      stream.destroy()
      await close()
    })

    test('what is wrong with the position is told when it is read', async () => {
      const { log, close } = await openFilled(3)
      const stream = open(log, { from: 9 })
      await turns()
      expect(stream.destroyed).toBe(false)
      await walError(stream.toArray(), 'WAL_INDEX_OUT_OF_RANGE')
      await close()
    })

    test('an unknown option is refused by name', async () => {
      const { log, close } = await openFilled(3)
      expect(() => open(log, { life: true } as never)).toThrow(/readable\(\) has no option 'life'/)
      expect(() => open(log, { live: 'yes' } as never)).toThrow(/'live'.*'yes'/)
      await close()
    })

    test('fails with the log, after the entries it still has', async () => {
      const { log, setDisk, close } = await openFilled(3)
      const seen: Entry<string>[] = []
      const running = pipeline(open(log), async entries => {
        for await (const entry of entries) seen.push(entry as Entry<string>)
      })
      await until(() => seen.length === 3)
      setDisk('broken')
      log.accept('lost')
      await walError(running, 'WAL_FAILED')
      await close()
    })

    test('a bounded one that has not ended fails with WAL_CLOSED when the log is closed', async () => {
      const { log, close } = await openLog({ encoding: text() })
      for (let n = 0; n < 50; n++) await log.committed(log.accept('x'.repeat(20_000)))
      const stream = open(log, { live: false, chunkMaxBytes: 1000 })
      await once(stream, 'readable')
      await close()
      await walError(stream.toArray(), 'WAL_CLOSED')
    })
  })

  describe('a signal of readable', () => {
    test('destroys it as addAbortSignal does', async () => {
      const { log, close } = await openFilled(3)
      const controller = new AbortController()
      const stream = open(log, { signal: controller.signal })
      const failed = once(stream, 'error')
      await once(stream, 'readable')
      controller.abort('reason')
      expect((await failed)[0]).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'reason' })
      expect(stream.destroyed).toBe(true)
      expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0)
      await close()
    })

    test('that has aborted destroys it at once', async () => {
      const { log, close } = await openFilled(3)
      const stream = open(log, { signal: AbortSignal.abort('reason') })
      expect(await rejection(stream.toArray())).toMatchObject({ name: 'AbortError', cause: 'reason' })
      await close()
    })

    test('has no listener once the stream has ended', async () => {
      const { log, close } = await openFilled(3)
      const { signal } = new AbortController()
      const stream = open(log, { signal, live: false })
      expect(getEventListeners(signal, 'abort')).toHaveLength(1)
      await stream.toArray()
      expect(getEventListeners(signal, 'abort')).toHaveLength(0)
      await close()
    })
  })

  test('await using destroys it', async () => {
    const { log, close } = await openFilled(3)
    const kept = await (async () => {
      await using stream = open(log)
      await once(stream, 'readable')
      return stream
    })()
    expect(kept.destroyed).toBe(true)
    await close()
  })

  async function collectByIterating(stream: EntryStream<string>) {
    const entries: Entry<string>[] = []
    for await (const entry of stream) entries.push(entry)
    return entries
  }

  async function collectByData(stream: EntryStream<string>) {
    const entries: Entry<string>[] = []
    stream.on('data', entry => {
      entries.push(entry)
      if (entries.length % 100 === 0) {
        stream.pause()
        setImmediate(() => stream.resume())
      }
    })
    await once(stream, 'end')
    return entries
  }

  async function collectByReading(stream: EntryStream<string>) {
    const entries: Entry<string>[] = []
    stream.on('readable', () => {
      for (let entry = stream.read(); entry !== null; entry = stream.read()) entries.push(entry)
    })
    await once(stream, 'end')
    return entries
  }

  async function collectByBoth(stream: EntryStream<string>) {
    const entries: Entry<string>[] = []
    stream.on('data', entry => {
      entries.push(entry)
      stream.read()
    })
    await once(stream, 'end')
    return entries
  }

  async function collectSlowly(stream: EntryStream<string>) {
    const entries: Entry<string>[] = []
    const slow = new Writable({
      objectMode: true,
      write(entry: Entry<string>, _encoding, callback) {
        entries.push(entry)
        if (entries.length % 50 === 0) setImmediate(callback)
        else callback()
      },
    })
    await pipeline(stream, slow)
    return entries
  }
}
