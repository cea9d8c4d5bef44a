import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, test } from 'vitest'
import { bytes, text } from '../../src/codec/encoding.js'
import type { LogReader } from '../../src/contract.js'
import { writable } from '../../src/streams/writable.js'
import type { Entry } from '../../src/types.js'
import { rejection, turns, until, walError } from '../helpers/waiting.js'
import type { OpenLog } from './controlled-log.js'

/** All committed entries of a log. */
export async function entriesOf<T>(log: LogReader<T>): Promise<Entry<T>[]> {
  const cursor = log.cursor({ live: false })
  const entries: Entry<T>[] = []
  for (let chunk = await cursor.next(); chunk; chunk = await cursor.next()) entries.push(...chunk)
  return entries
}

async function dataOf<T>(log: LogReader<T>): Promise<T[]> {
  return (await entriesOf(log)).map(entry => entry.data)
}

/** What `writable()` promises over any log. */
export function writableSuite(openLog: OpenLog): void {
  const words = Array.from({ length: 1000 }, (_, i) => `word ${i}`)
  /** Chunks of which the third goes over the mark, whatever a log counts for framing. */
  const openSmall = () => openLog({ encoding: bytes(), highWaterMark: 10_000 })
  const chunk = Buffer.alloc(3600, 'x')

  describe('writable', () => {
    test('a pipeline puts every chunk into the log, in order, durable when it ends', async () => {
      const { log, close } = await openLog({ encoding: text() })
      await pipeline(Readable.from(words), writable(log))
      expect(log.durableIndex).toBe(1000)
      expect(await dataOf(log)).toEqual(words)
      await close()
    })

    test("a write's callback means accepted, 'finish' means durable", async () => {
      const { log, setDisk, close } = await openLog({ encoding: text() })
      const stream = writable(log)
      setDisk('held')
      await new Promise(resolve => stream.write('a', resolve))
      expect([log.lastIndex, log.durableIndex]).toEqual([1, 0])
      stream.end()
      await turns()
      expect(stream.writableFinished).toBe(false)
      setDisk('ok')
      await once(stream, 'finish')
      expect(log.durableIndex).toBe(1)
      await close()
    })

    test('an empty pipeline finishes', async () => {
      const { log, close } = await openLog({ encoding: text() })
      await pipeline(Readable.from([]), writable(log))
      expect(log.lastIndex).toBe(0)
      await close()
    })

    test("input 'entry' takes term and timestamp along", async () => {
      const { log, close } = await openLog({ encoding: text() })
      const stream = writable(log, { input: 'entry' })
      stream.write({ data: 'a', term: 7, timestamp: 1000.5 })
      stream.end({ data: 'b', timestamp: new Date(2000) })
      await once(stream, 'finish')
      expect(await entriesOf(log)).toMatchObject([
        { index: 1, data: 'a', term: 7, timestamp: 1000.5 },
        { index: 2, data: 'b', term: 7, timestamp: 2000 },
      ])
      await close()
    })

    test("entries of another log go in as they are with input 'entry'", async () => {
      const from = await openLog({ encoding: text() })
      const to = await openLog({ encoding: text() })
      await pipeline(Readable.from(words.slice(0, 3)), writable(from.log))
      const read = await entriesOf(from.log)
      await pipeline(Readable.from(read), writable(to.log, { input: 'entry' }))
      const keep = ({ index, term, timestamp, data }: Entry<string>) => ({ index, term, timestamp, data })
      expect((await entriesOf(to.log)).map(keep)).toEqual(read.map(keep))
      await Promise.all([from.close(), to.close()])
    })

    test('with what is no entry, data of a wrong type and refused data it fails; what came before stays', async () => {
      const { log, close } = await openLog({ encoding: text(), maxEntryBytes: 100 })
      expect(await rejection(pipeline(Readable.from(['a', 42, 'b']), writable(log)))).toBeInstanceOf(TypeError)
      expect(await rejection(pipeline(Readable.from(['a']), writable(log, { input: 'entry' })))).toBeInstanceOf(
        TypeError,
      )
      await walError(pipeline(Readable.from(['c', 'x'.repeat(101), 'd']), writable(log)), 'WAL_ENTRY_TOO_LARGE')
      await pipeline(Readable.from(['e']), writable(log))
      expect(await dataOf(log)).toEqual(['a', 'c', 'e'])
      await close()
    })

    test('an unknown option or value is refused by name', async () => {
      const { log, close } = await openLog({ encoding: text() })
      expect(() => writable(log, { inputs: 'data' } as never)).toThrow(/no option 'inputs'/)
      expect(() => writable(log, { input: 'row' } as never)).toThrow(/'input'.*'row'/)
      await close()
    })

    test('an error at the source leaves the log usable and what came before in it', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const failing = Readable.from(
        (function* () {
          yield 'a'
          throw new Error('source')
        })(),
      )
      const stream = writable(log)
      expect(await rejection(pipeline(failing, stream))).toMatchObject({ message: 'source' })
      expect(stream.destroyed).toBe(true)
      await log.committed(log.accept('b'))
      expect((await dataOf(log)).at(-1)).toBe('b')
      await close()
    })

    test('many written while corked are one admission of many entries', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const stream = writable(log)
      stream.cork()
      const written = words.map(word => new Promise<void>(resolve => stream.write(word, () => resolve())))
      expect(log.lastIndex).toBe(0)
      stream.uncork()
      await Promise.all(written)
      expect(log.lastIndex).toBe(1000)
      stream.end()
      await once(stream, 'finish')
      expect(await dataOf(log)).toEqual(words)
      await close()
    })
  })

  describe('writable above the high-water mark', () => {
    test('write() says false at once, its callback waits, and drain comes at half the mark', async () => {
      const { log, setDisk, close } = await openSmall()
      setDisk('held')
      const stream = writable(log)
      const called: number[] = []
      const answers = [1, 2, 3].map(n => stream.write(chunk, () => called.push(n)))
      expect(answers).toEqual([true, true, false])
      expect([stream.writableNeedDrain, log.lastIndex, log.writableNeedDrain]).toEqual([true, 3, true])
      await turns()
      expect(called).toEqual([1, 2])
      const drain = once(stream, 'drain')
      setDisk('ok')
      await drain
      expect(called).toEqual([1, 2, 3])
      expect(stream.writableNeedDrain).toBe(false)
      stream.destroy()
      await close()
    })

    test('no more is accepted, not even what was written against the answer', async () => {
      const { log, setDisk, close } = await openSmall()
      setDisk('held')
      const stream = writable(log)
      for (let n = 0; n < 50; n++) stream.write(chunk)
      await turns()
      expect(log.lastIndex).toBe(3)
      setDisk('ok')
      stream.end()
      await once(stream, 'finish')
      expect(log.lastIndex).toBe(50)
      await close()
    })

    test('one _writev admits no more either', async () => {
      const { log, setDisk, close } = await openSmall()
      setDisk('held')
      const stream = writable(log)
      stream.cork()
      for (let n = 0; n < 50; n++) stream.write(chunk)
      stream.uncork()
      await turns()
      expect(log.lastIndex).toBe(3)
      setDisk('ok')
      stream.end()
      await once(stream, 'finish')
      expect(log.lastIndex).toBe(50)
      await close()
    })

    test.each([
      ['a generator', (source: Iterable<Buffer>) => source],
      ['a Readable', (source: Iterable<Buffer>) => Readable.from(source, { highWaterMark: 1 })],
    ])('a pipeline from %s takes no more than the mark and one chunk from its source', async (_what, sourceOf) => {
      const { log, setDisk, close } = await openSmall()
      setDisk('held')
      let taken = 0
      function* source() {
        for (; taken < 100; taken++) yield chunk
      }
      const running = pipeline(sourceOf(source()), writable(log))
      await turns(10)
      // 3 in the log, 1 that a Readable holds itself, 1 that the source is about to give.
      expect(taken).toBeLessThanOrEqual(5)
      expect(log.lastIndex).toBe(3)
      setDisk('ok')
      await running
      expect(log.durableIndex).toBe(100)
      await close()
    })

    test('the first chunk waits too when others have filled the log', async () => {
      const { log, setDisk, close } = await openSmall()
      setDisk('held')
      log.accept(Buffer.alloc(10_001))
      const stream = writable(log)
      expect(stream.write(chunk)).toBe(false)
      await turns()
      expect(log.lastIndex).toBe(1)
      setDisk('ok')
      await until(() => log.lastIndex === 2)
      stream.destroy()
      await close()
    })

    test('destroyed while waiting: what was accepted stays, nothing more comes, every callback is called', async () => {
      const { log, setDisk, close } = await openSmall()
      setDisk('held')
      const stream = writable(log)
      const outcomes: unknown[] = []
      for (let n = 0; n < 5; n++) stream.write(chunk, error => (outcomes[n] = error))
      stream.destroy()
      await turns()
      expect(outcomes).toMatchObject([undefined, undefined, undefined, expect.any(Error), expect.any(Error)])
      setDisk('ok')
      await log.committed(3)
      await turns()
      expect(log.lastIndex).toBe(3)
      await close()
    })
  })

  describe('writable that is destroyed', () => {
    test('takes back what was not accepted yet, and its callback says so', async () => {
      const { log, setDisk, close } = await openSmall()
      setDisk('held')
      log.accept(Buffer.alloc(10_001))
      const stream = writable(log)
      const outcome = new Promise(resolve => stream.write(chunk, resolve))
      stream.destroy()
      expect(await outcome).toMatchObject({ code: 'ERR_STREAM_DESTROYED' })
      setDisk('ok')
      await log.drained()
      await turns()
      expect(log.lastIndex).toBe(1)
      await close()
    })

    test('with an error: that is what the callback gets', async () => {
      const { log, setDisk, close } = await openSmall()
      setDisk('held')
      log.accept(Buffer.alloc(10_001))
      const stream = writable(log)
      const outcome = new Promise(resolve => stream.write(chunk, resolve))
      stream.on('error', () => undefined)
      stream.destroy(new Error('mine'))
      expect(await outcome).toMatchObject({ message: 'mine' })
      setDisk('ok')
      await close()
    })
  })

  describe('writable when the log leaves service', () => {
    test('paused for want of space it waits, and goes on after resume', async () => {
      const { log, setDisk, resume, close } = await openLog({ encoding: text() })
      setDisk('full')
      log.accept('first')
      await until(() => log.status === 'paused')
      const running = pipeline(Readable.from(words), writable(log))
      await turns()
      expect(log.lastIndex).toBe(1)
      setDisk('ok')
      await resume()
      await running
      expect(await dataOf(log)).toEqual(['first', ...words])
      await close()
    })

    test('an open one is destroyed with WAL_CLOSED when the log is closed', async () => {
      const { log, close } = await openLog({ encoding: text() })
      const stream = writable(log)
      const failed = once(stream, 'error')
      stream.write('a')
      await close()
      expect((await failed)[0]).toMatchObject({ code: 'WAL_CLOSED' })
      expect(stream.destroyed).toBe(true)
      expect(log.durableIndex).toBe(1)
    })

    test('one that has ended finishes, because closing makes its entries durable', async () => {
      const { log, setDisk, close } = await openLog({ encoding: text() })
      setDisk('held')
      const stream = writable(log)
      stream.end('a')
      await turns()
      setDisk('ok')
      await Promise.all([close(), once(stream, 'finish')])
      expect(log.durableIndex).toBe(1)
    })

    test('one that waits for room is destroyed with WAL_CLOSED', async () => {
      const { log, setDisk, close } = await openSmall()
      setDisk('held')
      const running = pipeline(Readable.from(Array(50).fill(chunk)), writable(log))
      await turns()
      setDisk('ok')
      await Promise.all([close(), walError(running, 'WAL_CLOSED')])
    })

    test("a failing log destroys it with the log's error", async () => {
      const { log, setDisk, close } = await openLog({ encoding: text() })
      const idle = writable(log)
      const failed = once(idle, 'error')
      setDisk('broken')
      await walError(pipeline(Readable.from(words), writable(log)), 'WAL_FAILED')
      expect((await failed)[0]).toMatchObject({ code: 'WAL_FAILED' })
      await close()
    })

    test('on a log that is closed already it fails at the first write', async () => {
      const { log, close } = await openLog({ encoding: text() })
      await close()
      await walError(pipeline(Readable.from(words), writable(log)), 'WAL_CLOSED')
    })
  })

  test('await using destroys a writable that has not finished', async () => {
    const { log, close } = await openLog({ encoding: text() })
    let kept: NodeJS.WritableStream & { destroyed?: boolean }
    {
      await using stream = writable(log) as ReturnType<typeof writable> & AsyncDisposable
      stream.write('a')
      kept = stream
    }
    expect(kept.destroyed).toBe(true)
    expect(log.lastIndex).toBe(1)
    await close()
  })
}
