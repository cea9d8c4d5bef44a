import { describe, expect, test } from 'vitest'
import { bytes, json, text } from '../../src/codec/encoding.js'
import { observe } from '../../src/rxjs.js'
import type { Cursor, Entry, Wal } from '../../src/types.js'
import { until } from '../helpers/waiting.js'
import { type MakeWorld, range } from './world.js'

interface Note {
  text: string
}

/** Several readers that follow one log: what one does to what it was handed no other notices. */
export function sideBySideSuite(makeWorld: MakeWorld): void {
  const COUNT = 300

  async function openFollowed<T, In>(wal: Wal<T, In>, follow: (seen: Entry<T>[]) => Promise<void>, append: () => void) {
    const seen = Array.from({ length: 4 }, (): Entry<T>[] => [])
    const done = seen.map(follow)
    // They are all parked at the end, and get the same commits from memory.
    await new Promise(resolve => setImmediate(resolve))
    append()
    await wal.sync()
    await Promise.all(done)
    return seen
  }

  /** Does to an entry what must not concern anybody else. */
  function spoil<T>(entry: Entry<T>): Entry<T> {
    const kept = { ...entry }
    entry.index = -1
    entry.data = undefined as T
    Object.assign(entry, { handled: true })
    return kept
  }

  const expected = (entries: Entry<unknown>[]) => {
    expect(entries.map(entry => entry.index)).toEqual(range(1, COUNT))
    for (const entry of entries) expect(entry).not.toHaveProperty('handled')
  }

  const appendBytes = (wal: Wal<Buffer, Uint8Array | string>) => () => {
    for (let n = 1; n <= COUNT; n++) void wal.append(`entry ${n}`)
  }

  describe('readers side by side', () => {
    test.each([
      ['iterates', (wal: Wal<Buffer>) => wal.tail({ to: COUNT })],
      ['filters', (wal: Wal<Buffer>) => wal.tail({ to: COUNT, filter: () => true })],
      ['reads a stream', (wal: Wal<Buffer>) => wal.readable({ to: COUNT })],
    ])('what one that %s does to its entries no other sees', async (_how, read) => {
      const wal = await makeWorld().openAs(bytes())
      const seen = await openFollowed(
        wal,
        async entries => {
          for await (const entry of read(wal) as AsyncIterable<Entry<Buffer>>) entries.push(spoil(entry))
        },
        appendBytes(wal),
      )
      for (const entries of seen) {
        expected(entries)
        expect(entries.every(({ index, data }) => data.toString() === `entry ${index}`)).toBe(true)
      }
    })

    test('nor of one that observes', async () => {
      const wal = await makeWorld().openAs(bytes())
      const seen = await openFollowed(
        wal,
        entries => observe(wal, { to: COUNT }).forEach(entry => void entries.push(spoil(entry))),
        appendBytes(wal),
      )
      for (const entries of seen) expected(entries)
    })

    test('decoded data are each reader’s own, in chunks too', async () => {
      const wal = await makeWorld().openAs(json<Note>())
      const seen = await openFollowed<Note, Note>(
        wal,
        async entries => {
          for await (const chunk of wal.tail({ to: COUNT }).chunks()) {
            for (const entry of chunk) {
              entries.push({ ...entry, data: { ...entry.data } })
              entry.data.text = 'spoilt'
              spoil(entry)
            }
          }
        },
        () => {
          for (let n = 1; n <= COUNT; n++) void wal.append({ text: `entry ${n}` })
        },
      )
      for (const entries of seen) {
        expected(entries)
        expect(entries.every(({ index, data }) => data.text === `entry ${index}`)).toBe(true)
      }
    })

    test('a chunk is the reader’s own array; entries of bytes in it may be shared, and cannot be changed', async () => {
      const wal = await makeWorld().openAs(bytes())
      const seen = await openFollowed(
        wal,
        async entries => {
          for await (const chunk of wal.tail({ to: COUNT }).chunks()) {
            const mine = chunk as unknown as Entry<Buffer>[]
            while (mine.length > 0) {
              const entry = mine.shift()!
              expect(() => spoil(entry)).toThrow(TypeError)
              entries.push(entry)
            }
          }
        },
        appendBytes(wal),
      )
      for (const entries of seen) expected(entries)
      expect(seen[0]?.[0]).toEqual(await wal.get(1))
    })

    test('entries of transactions are handed to all of them with their ids', async () => {
      const wal = await makeWorld().openAs(bytes())
      const ids: string[] = []
      const seen = await openFollowed(
        wal,
        async entries => {
          for await (const entry of wal.tail({ to: 6 })) entries.push(entry)
        },
        () => {
          for (let n = 0; n < 2; n++) {
            const transaction = wal.transaction()
            ids.push(transaction.id)
            transaction.append('a')
            transaction.append('b')
            void transaction.commit()
            void wal.append('between')
          }
        },
      )
      const [one, two] = ids
      for (const entries of seen) {
        expect(entries.map(entry => entry.transactionId)).toEqual([one, one, undefined, two, two, undefined])
        expect(entries.map(entry => Object.keys(entry).length)).toEqual([6, 6, 5, 6, 6, 5])
      }
    })

    test('those that joined late, want other chunks or are slow get every entry once all the same', async () => {
      const wal = await makeWorld().open()
      const cursors: Cursor<string>[] = [
        wal.tail(),
        wal.tail({ chunkMaxBytes: 200 }),
        wal.tail({ from: 1, to: 2 * COUNT }),
        wal.tail({ filter: ({ index }) => index % 2 === 0 }),
        wal.tail({ copy: true }),
      ]
      const counts = cursors.map(() => 0)
      const follow = async (cursor: Cursor<string>, place: number) => {
        for await (const chunk of cursor.chunks()) {
          counts[place]! += chunk.length
          for (const { index, data } of chunk) expect(data).toBe(`entry ${index}`)
          if (place % 2 === 0) await new Promise(resolve => setImmediate(resolve))
        }
      }
      const following = cursors.map(follow)
      for (let n = 1; n <= 2 * COUNT; n++) {
        void wal.append(`entry ${n}`)
        if (n % 50 === 0) await wal.sync()
        if (n === COUNT) {
          counts.push(0)
          following.push(follow(wal.tail({ from: COUNT }), counts.length - 1))
        }
      }
      await wal.sync()
      await until(() => counts[1] === 2 * COUNT && counts[4] === 2 * COUNT && counts[5] === COUNT + 1)
      await wal.close()
      await Promise.all(following)
      expect(counts).toEqual([2 * COUNT, 2 * COUNT, 2 * COUNT, COUNT, 2 * COUNT, COUNT + 1])
    })

    test('one whose filter throws fails alone', async () => {
      const wal = await makeWorld().openAs(text())
      const failing = wal.tail({
        filter: () => {
          throw new Error('filter')
        },
      })
      const others = [wal.tail({ to: 3 }), wal.tail({ to: 3 })]
      const results = [failing, ...others].map(async cursor => {
        const data: string[] = []
        for await (const entry of cursor) data.push(entry.data)
        return data.join()
      })
      await new Promise(resolve => setImmediate(resolve))
      for (const one of ['a', 'b', 'c']) void wal.append(one)
      await wal.sync()
      const [failed, ...read] = await Promise.allSettled(results)
      expect(failed).toMatchObject({ status: 'rejected', reason: { message: 'filter' } })
      expect(read).toMatchObject([{ value: 'a,b,c' }, { value: 'a,b,c' }])
      expect(wal.status).toBe('open')
    })
  })
}
