import { once } from 'node:events'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { describe, expect, test } from 'vitest'
import { bytes } from '../../src/codec/encoding.js'
import type { Wal, WalOptions } from '../../src/types.js'
import { turns, until, walError } from '../helpers/waiting.js'
import type { HeldWorld, MakeHeldWorld } from './world.js'

const KIB = 1024
/** Commit and entry frames; the mark counts what lies in memory. */
const FRAMES = 256

function openSmall(world: HeldWorld, options: WalOptions = {}): Promise<Wal<Buffer, Uint8Array | string>> {
  return world.openAs(bytes(), { highWaterMark: 100 * KIB, ...options })
}

/** Makes every write and sync of a segment take `ms` milliseconds of real time. */
function slowDown({ fs }: HeldWorld, ms: number): void {
  fs.slow = ({ kind, path }) =>
    path.endsWith('.wal') && (kind === 'write' || kind === 'sync')
      ? new Promise(resolve => setTimeout(resolve, ms))
      : undefined
}

/** Back-pressure: one number, bytes accepted and not committed, for submit, drained and the streams. */
export function pressureSuite(makeWorld: MakeHeldWorld): void {
  describe('back-pressure', () => {
    test('submit throws above the mark, accepting nothing; drained() resolves at half of it', async () => {
      const world = makeWorld()
      const wal = await openSmall(world)
      world.setDisk('held')
      // JSON, which takes about the same space in either format.
      const chunk = Buffer.from(JSON.stringify('x'.repeat(10 * KIB - 2)))
      let accepted = 0
      while (!wal.writableNeedDrain) accepted = wal.submit(chunk)
      expect(accepted).toBeGreaterThan(5)
      const refused = () => wal.submit(chunk)
      expect(refused).toThrow(expect.objectContaining({ code: 'WAL_BACKPRESSURE' }))
      expect([wal.lastIndex, wal.stats().pendingEntries]).toEqual([accepted, accepted])
      expect(wal.stats().pendingBytes).toBeGreaterThan(100 * KIB)
      let drained = false
      const wait = wal.drained().then(() => (drained = true))
      await turns()
      expect(drained).toBe(false)
      world.setDisk('ok')
      await wait
      expect(wal.stats().pendingBytes).toBeLessThanOrEqual(50 * KIB)
      expect([wal.writableNeedDrain, wal.submit(chunk)]).toEqual([false, accepted + 1])
      await wal.waitForCommit(accepted + 1)
      expect(wal.stats()).toMatchObject({ pendingBytes: 0, pendingEntries: 0 })
    })

    test('the mark is a threshold: one entry or batch may go over it, and append does not ask', async () => {
      const world = makeWorld()
      const wal = await openSmall(world)
      world.setDisk('held')
      expect(wal.submit(Buffer.alloc(500 * KIB))).toBe(1)
      const [one, batch] = [wal.append('a'), wal.appendBatch(['b', 'c'])]
      expect(wal.lastIndex).toBe(4)
      world.setDisk('ok')
      expect([await one, (await batch).lastIndex]).toEqual([2, 4])
    })

    test("'drain' is emitted once per excess, and drained() of a log without one resolves at once", async () => {
      const world = makeWorld()
      const wal = await openSmall(world)
      let drains = 0
      wal.on('drain', () => drains++)
      await wal.drained()
      await wal.append('little')
      await turns()
      expect(drains).toBe(0)
      for (let round = 1; round <= 3; round++) {
        world.setDisk('held')
        while (!wal.writableNeedDrain) wal.submit(Buffer.alloc(10 * KIB))
        world.setDisk('ok')
        await wal.drained()
        await wal.sync()
        await until(() => drains === round)
      }
    })

    test('drained() rejects when the log fails', async () => {
      const world = makeWorld()
      const wal = await openSmall(world)
      world.setDisk('held')
      const first = wal.append(Buffer.alloc(200 * KIB))
      await turns()
      const second = walError(wal.append(Buffer.alloc(200 * KIB)), 'WAL_FAILED')
      const wait = walError(wal.drained(), 'WAL_FAILED')
      world.setDisk('broken')
      await Promise.all([first, second, wait])
    })

    test('drained() rejects when the log is closed', async () => {
      const world = makeWorld()
      const wal = await openSmall(world)
      world.setDisk('held')
      wal.submit(Buffer.alloc(200 * KIB))
      const wait = walError(wal.drained(), 'WAL_CLOSED')
      const closing = wal.close()
      await wait
      world.setDisk('ok')
      await closing
    })

    test('drained() waits out a pause', async () => {
      const world = makeWorld()
      const wal = await openSmall(world)
      world.setDisk('full')
      const held = wal.append('a')
      await until(() => wal.status === 'paused')
      let drained = false
      const wait = wal.drained().then(() => (drained = true))
      await turns()
      expect(drained).toBe(false)
      world.setDisk('ok')
      await wal.resume()
      await Promise.all([wait, held])
    })
  })

  describe('a pipeline into a slowed disk', () => {
    test('never accepts more than the mark and one chunk, and finishes durable', async () => {
      const world = makeWorld()
      const wal = await openSmall(world)
      slowDown(world, 1)
      const chunkBytes = 8 * KIB
      let most = 0
      let taken = 0
      function* source() {
        for (; taken < 500; taken++) {
          most = Math.max(most, wal.stats().pendingBytes)
          yield Buffer.alloc(chunkBytes, taken)
        }
      }
      const stream = wal.writable()
      await pipeline(Readable.from(source()), stream)
      expect(wal.durableIndex).toBe(500)
      expect(most).toBeGreaterThan(50 * KIB)
      expect(most).toBeLessThanOrEqual(100 * KIB + chunkBytes + FRAMES)
    })

    test('holds bounded memory', async () => {
      const world = makeWorld()
      const wal = await openSmall(world, { highWaterMark: 1024 * KIB })
      world.setDisk('held')
      const chunk = 64 * KIB
      let given = 0
      const source = new Readable({
        highWaterMark: chunk,
        read() {
          given += chunk
          this.push(given > 256 * 1024 * KIB ? null : Buffer.alloc(chunk))
        },
      })
      const before = process.memoryUsage().arrayBuffers
      const running = pipeline(source, wal.writable()).catch(() => undefined)
      await turns(300)
      // The mark, what the two streams hold between them (a few chunks), and the commits being laid out (1 MiB each).
      expect(given).toBeLessThanOrEqual(1024 * KIB + 24 * chunk)
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * KIB)
      source.destroy()
      await running
      world.setDisk('ok')
    })

    test("'finish' comes after durability, whatever the policy but 'never'", async () => {
      for (const sync of ['always', { intervalMs: 1000 }] as const) {
        const world = makeWorld()
        const wal = await openSmall(world, { sync })
        const stream = wal.writable()
        stream.end('a')
        await once(stream, 'finish')
        expect(wal.durableIndex).toBe(1)
      }
      const wal = await openSmall(makeWorld(), { sync: 'never' })
      const stream = wal.writable()
      stream.end('a')
      await once(stream, 'finish')
      expect([wal.committedIndex, wal.durableIndex]).toEqual([1, 0])
    })

    test('an error on either side leaves the log usable and the other side destroyed', async () => {
      const world = makeWorld()
      const wal = await openSmall(world)
      const source = Readable.from([Buffer.from('a'), 7, Buffer.from('c')])
      await pipeline(source, wal.writable()).then(
        () => expect.unreachable(),
        error => expect(error).toBeInstanceOf(TypeError),
      )
      expect(source.destroyed).toBe(true)
      const writable = wal.writable()
      const broken = new Readable({ read: () => broken.destroy(new Error('source')) })
      await expect(pipeline(broken, writable)).rejects.toThrow('source')
      expect(writable.destroyed).toBe(true)
      expect(await wal.append('b')).toBe(2)
    })

    test('streams and direct appends share commits', async () => {
      const world = makeWorld()
      const wal = await openSmall(world, { highWaterMark: 8192 * KIB })
      world.setDisk('held')
      const first = wal.append('first')
      await turns()
      const [writable, transform] = [wal.writable(), wal.transform()]
      for (let n = 0; n < 100; n++) {
        writable.write('w')
        transform.write('t')
        void wal.append('a')
      }
      await turns()
      world.setDisk('ok')
      await first
      await wal.waitForCommit(301)
      expect(wal.stats().commits).toBe(2)
      transform.destroy()
      writable.destroy()
    })
  })
}
