import { once } from 'node:events'
import { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, test } from 'vitest'
import { bytes, text } from '../../src/codec/encoding.js'
import { transform } from '../../src/streams/transform.js'
import type { Entry } from '../../src/types.js'
import { rejection, turns, until, walError } from '../helpers/waiting.js'
import type { OpenLog } from './controlled-log.js'

/** What `transform()` promises over any log. */
export function transformSuite(openLog: OpenLog): void {
  const words = Array.from({ length: 1000 }, (_, i) => `word ${i}`)

  function collector<T>(into: Entry<T>[]): Writable {
    return new Writable({
      objectMode: true,
      write(entry: Entry<T>, _encoding, callback) {
        into.push(entry)
        callback()
      },
    })
  }

  describe('transform', () => {
    test('data go in, committed entries come out as they read back, in order', async () => {
      const { log, close } = await openLog({ encoding: bytes() })
      const out: Entry<Buffer>[] = []
      await pipeline(Readable.from(words), transform(log), collector(out))
      expect(out.map(entry => entry.data.toString())).toEqual(words)
      expect(out[41]).toMatchObject({ index: 42, term: 0, timestamp: expect.any(Number), checksum: expect.any(Number) })
      expect(log.durableIndex).toBe(1000)
      await close()
    })

    test('an entry comes out once it is committed, not before', async () => {
      const { log, setDisk, close } = await openLog({ encoding: text() })
      setDisk('held')
      const stream = transform(log)
      const out: Entry<string>[] = []
      stream.on('data', entry => out.push(entry))
      stream.write('a')
      await turns()
      expect([log.lastIndex, out.length]).toEqual([1, 0])
      setDisk('ok')
      await until(() => out.length === 1)
      stream.end()
      await once(stream, 'end')
      await close()
    })

    test('entries that others append meanwhile do not come out', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const [one, two]: [Entry<string>[], Entry<string>[]] = [[], []]
      const others = (async () => {
        for (let n = 0; n < 200; n++) {
          log.accept(`other ${n}`)
          if (n % 3 === 0) await turns(1)
        }
      })()
      await Promise.all([
        pipeline(Readable.from(words), transform(log), collector(one)),
        pipeline(Readable.from(words), transform(log), collector(two)),
        others,
      ])
      expect(one.map(entry => entry.data)).toEqual(words)
      expect(two.map(entry => entry.data)).toEqual(words)
      expect(log.lastIndex).toBe(2200)
      await close()
    })

    test('after a lull in which others appended much it goes on at its own next entry', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const stream = transform(log)
      const out: Entry<string>[] = []
      stream.on('data', entry => out.push(entry))
      stream.write('a')
      await until(() => out.length === 1)
      for (let n = 0; n < 500; n++) log.accept('other')
      await log.committed(501)
      stream.end('b')
      await once(stream, 'end')
      expect(out.map(entry => entry.index)).toEqual([1, 502])
      await close()
    })

    test("input 'entry' takes term and timestamp along", async () => {
      const { log, close } = await openLog({ encoding: text() })
      const out: Entry<string>[] = []
      await pipeline([{ data: 'a', term: 3, timestamp: 5 }], transform(log, { input: 'entry' }), collector(out))
      expect(out).toMatchObject([{ index: 1, data: 'a', term: 3, timestamp: 5 }])
      await close()
    })

    test('nothing in, nothing out', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const out: Entry<string>[] = []
      await pipeline([], transform(log), collector(out))
      expect(out).toEqual([])
      await close()
    })

    test('as an async iterable, in a pipeline of its own', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const data: string[] = []
      for await (const entry of Readable.from(words).pipe(transform(log))) data.push((entry as Entry<string>).data)
      expect(data).toEqual(words)
      await close()
    })

    test('an unknown option is refused by name', async () => {
      const { log, close } = await openLog({ encoding: text() })
      expect(() => transform(log, { inputs: 1 } as never)).toThrow(/transform\(\) has no option 'inputs'/)
      await close()
    })
  })

  describe('transform holds bounded memory', () => {
    test('when nobody reads what comes out, it stops taking in', async () => {
      const { log, close } = await openLog({ encoding: bytes(), highWaterMark: 1000 })
      const stream = transform(log)
      let taken = 0
      const source = Readable.from(
        (function* () {
          for (; taken < 10_000; taken++) yield Buffer.alloc(50)
        })(),
      )
      source.pipe(stream)
      await turns(50)
      const stalledAt = log.lastIndex
      expect(taken).toBeLessThan(1000)
      expect(stream.readableLength).toBeGreaterThan(0)
      await turns(50)
      expect(log.lastIndex).toBe(stalledAt)
      let count = 0
      for await (const _entry of stream) count++
      expect([count, log.lastIndex]).toEqual([10_000, 10_000])
      await close()
    })

    test('destroyed while nobody reads, it calls back what it has accepted', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const stream = transform(log)
      stream.write('a')
      stream.write('b')
      await until(() => stream.readableLength > 0)
      await turns()
      let outcome: unknown = 'none'
      expect(stream.write('c', error => (outcome = error))).toBe(false)
      await turns()
      expect([outcome, log.lastIndex]).toEqual(['none', 3])
      stream.destroy()
      await turns()
      expect(outcome).toBeFalsy()
      await close()
    })

    test('when the log does not commit, it stops at the high-water mark', async () => {
      const { log, setDisk, close } = await openLog({ encoding: bytes(), highWaterMark: 10_000 })
      setDisk('held')
      const stream = transform(log)
      const answers = Array.from({ length: 4 }, () => stream.write(Buffer.alloc(3600)))
      expect(answers).toEqual([true, true, false, false])
      await turns()
      expect(log.lastIndex).toBe(3)
      setDisk('ok')
      stream.end()
      expect(await stream.toArray()).toHaveLength(4)
      await close()
    })
  })

  describe('transform fails', () => {
    test('with the error of an entry; those before it stay in the log', async () => {
      const { log, close } = await openLog({ encoding: text(), maxEntryBytes: 10 })
      const out: Entry<string>[] = []
      await walError(pipeline(['a', 'x'.repeat(11)], transform(log), collector(out)), 'WAL_ENTRY_TOO_LARGE')
      expect(log.lastIndex).toBe(1)
      await close()
    })

    test('when what comes after it does; the log stays usable', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const broken = new Writable({
        objectMode: true,
        write: (_entry, _encoding, callback) => callback(new Error('sink')),
      })
      const stream = transform(log)
      expect(await rejection(pipeline(Readable.from(words), stream, broken))).toMatchObject({ message: 'sink' })
      expect(stream.destroyed).toBe(true)
      await log.committed(log.accept('after'))
      await close()
    })

    test('with WAL_CLOSED when the log is closed, with WAL_FAILED when it fails', async () => {
      const first = await openLog({ encoding: text() })
      const open = transform(first.log)
      const failed = once(open, 'error')
      open.write('a')
      await first.close()
      expect((await failed)[0]).toMatchObject({ code: 'WAL_CLOSED' })
      const second = await openLog({ encoding: text() })
      second.setDisk('broken')
      await walError(pipeline(words, transform(second.log), collector([])), 'WAL_FAILED')
      await second.close()
    })

    test('not when it has ended: closing the log commits what it still has to give', async () => {
      const { log, setDisk, close } = await openLog({ encoding: text() })
      setDisk('held')
      const out: Entry<string>[] = []
      const running = pipeline(['a', 'b'], transform(log), collector(out))
      await turns()
      setDisk('ok')
      await Promise.all([close(), running])
      expect(out.map(entry => entry.data)).toEqual(['a', 'b'])
    })

    test('when entries of its own are cut off before they came out', async () => {
      const { log, setDisk, truncateAfter, close } = await openLog({ encoding: text() })
      await log.committed(log.accept('kept'))
      setDisk('held')
      const out: Entry<string>[] = []
      const running = pipeline(['a', 'b'], transform(log), collector(out))
      const failed = walError(running, 'WAL_TRUNCATED')
      await until(() => log.lastIndex === 3)
      const cut = truncateAfter(1)
      setDisk('ok')
      await cut
      expect(await failed).toMatchObject({ lost: 'after', firstIndex: 2 })
      await log.committed(log.accept('not of the stream'))
      expect(out).toEqual([])
      await close()
    })

    test('not when what is cut off came out long ago', async () => {
      const { log, truncateAfter, close } = await openLog({ encoding: text() })
      const stream = transform(log)
      const out: Entry<string>[] = []
      stream.on('data', entry => out.push(entry))
      stream.write('a')
      await until(() => out.length === 1)
      await truncateAfter(0)
      stream.end('b')
      await once(stream, 'end')
      expect(out.map(({ index, data }) => [index, data])).toEqual([
        [1, 'a'],
        [1, 'b'],
      ])
      await close()
    })

    test('paused for want of space it waits, and goes on after resume', async () => {
      const { log, setDisk, resume, close } = await openLog({ encoding: text() })
      setDisk('full')
      const out: Entry<string>[] = []
      const running = pipeline(Readable.from(words), transform(log), collector(out))
      await until(() => log.status === 'paused')
      await turns()
      setDisk('ok')
      await resume()
      await running
      expect(out.map(entry => entry.data)).toEqual(words)
      await close()
    })
  })

  test('await using destroys a transform that is not done', async () => {
    const { log, close } = await openLog({ encoding: text() })
    const kept = await (async () => {
      await using stream = transform(log)
      stream.write('a')
      return stream
    })()
    expect(kept.destroyed).toBe(true)
    await close()
  })
}
