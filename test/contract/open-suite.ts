import { describe, expect, test } from 'vitest'
import { bytes, json, text } from '../../src/codec/encoding.js'
import type { WalErrorCode } from '../../src/errors.js'
import { TWO_SLOT_FILE_BYTES } from '../../src/file-system/two-slot-file.js'
import { openWal } from '../../src/open.js'
import type { SimulatedFileSystem } from '../../src/testing.js'
import type { WalOptions } from '../../src/types.js'
import { rejection, walError } from '../helpers/waiting.js'
import { dataOf, fill, type HeldWorld, indexesOf, type MakeHeldWorld, range, type World } from './world.js'

/** Everything in a world's directory, to see that nothing was touched. */
async function pictureOf(world: World): Promise<Record<string, string>> {
  const names = (await world.names()).filter(name => name !== 'lock')
  return Object.fromEntries(names.map(name => [name, world.read(name).toString('hex')]))
}

async function refuses(world: World, code: WalErrorCode, options?: WalOptions) {
  const before = await pictureOf(world)
  const error = await walError(world.open(options), code)
  expect(await pictureOf(world)).toEqual(before)
  return error
}

const segmentName = (id: number, firstIndex: number) =>
  `${String(id).padStart(16, '0')}-${String(firstIndex).padStart(16, '0')}.wal`

/** Opening: creation, options, mismatches, and files that do not belong: each its own error, nothing touched. */
export function openSuite(makeWorld: MakeHeldWorld): void {
  /** A log of three segments: 1 to 10, 11 to 20, 21 to 25, closed in order. */
  async function threeSegments(): Promise<HeldWorld & { ends: number[] }> {
    const world = makeWorld()
    const wal = await world.open({ rotation: { maxEntries: 10 } })
    await fill(wal, 25)
    const ends = wal.segments().map(segment => segment.bytes)
    await wal.close()
    return { ...world, ends }
  }
  type Three = Awaited<ReturnType<typeof threeSegments>>
  /** A place within the last commit of a segment. */
  const lastOf = (world: Three, id: number) => (world.ends[id - 1] ?? 0) - 30
  const [first, second, third] = [segmentName(1, 1), segmentName(2, 11), segmentName(3, 21)]

  describe('options', () => {
    const wrong: [string, object][] = [
      ['segmentMaxBytes', { segmentMaxBytes: '1' }],
      ['highWaterMark', { highWaterMark: null }],
      ['maxEntryBytes', { maxEntryBytes: 1n }],
      ['maxBatchBytes', { maxBatchBytes: {} }],
      ['startIndex', { startIndex: '7' }],
      ['createIfMissing', { createIfMissing: 1 }],
      ['sync', { sync: 7 }],
      ['sync', { sync: null }],
      ['sync.intervalMs', { sync: { intervalMs: '5' } }],
      ['recovery', { recovery: true }],
      ['io', { io: 1 }],
      ['rotation', { rotation: 5 }],
      ['rotation.maxEntries', { rotation: { maxEntries: '5' } }],
      ['rotation.maxAgeMs', { rotation: { maxAgeMs: new Date() } }],
      ['rotation.trigger', { rotation: { trigger: () => 1 } }],
      ['rotation.trigger', { rotation: { trigger: null } }],
      ['transaction', { transaction: 1 }],
      ['transaction.timeoutMs', { transaction: { timeoutMs: '1' } }],
      ['lock', { lock: () => 1 }],
      ['logger', { logger: { info() {} } }],
      ['encoding', { encoding: 'text' }],
      ['encoding', { encoding: { name: 'x', encode() {} } }],
    ]
    const openWithAny = (world: World, { encoding = text(), ...others }: { encoding?: unknown }) =>
      world.openAs(encoding as never, others)
    test.each(wrong)('%s of a wrong type is a TypeError that names it, nothing is created', async (name, options) => {
      const world = makeWorld()
      const error = await rejection(openWithAny(world, options))
      expect(error).toBeInstanceOf(TypeError)
      expect((error as Error).message).toMatch(name.split('.')[0] as string)
      expect(await world.fs.stat(world.directory)).toBe(undefined)
    })

    const invalid: [string, object][] = [
      ['segmentMaxByte', { segmentMaxByte: 1 }],
      ['toString', { toString: 1 }],
      ['segmentMaxBytes', { segmentMaxBytes: 0 }],
      ['segmentMaxBytes', { segmentMaxBytes: 1.5 }],
      ['highWaterMark', { highWaterMark: -1 }],
      ['maxEntryBytes', { maxEntryBytes: Number.NaN }],
      ['startIndex', { startIndex: 0 }],
      ['startIndex', { startIndex: Number.MAX_SAFE_INTEGER }],
      ['sync', { sync: 'sometimes' }],
      ['sync.intervalMs', { sync: { intervalMs: 0 } }],
      ['sync.interval', { sync: { interval: 5 } }],
      ['recovery', { recovery: 'lenient' }],
      ['io', { io: 'fast' }],
      ['rotation.maxEntry', { rotation: { maxEntry: 5 } }],
      ['rotation.maxEntries', { rotation: { maxEntries: 0 } }],
      ['transaction.timeout', { transaction: { timeout: 5 } }],
      ['encoding.name', { encoding: { ...text(), name: '' } }],
      ['encoding.name', { encoding: { ...text(), name: 'x'.repeat(65) } }],
    ]
    test.each(invalid)('%s: WAL_INVALID_OPTION that names it, nothing is created', async (name, options) => {
      const world = makeWorld()
      expect((await walError(openWithAny(world, options), 'WAL_INVALID_OPTION')).message).toMatch(`${name}`)
      expect(await world.fs.stat(world.directory)).toBe(undefined)
    })

    test('undefined counts as not given', async () => {
      const wal = await makeWorld().open({ sync: undefined, rotation: undefined, startIndex: undefined } as never)
      expect(await wal.append('a')).toBe(1)
    })
  })

  describe('creating', () => {
    test('createIfMissing: false is WAL_NOT_FOUND and creates nothing; an existing log opens', async () => {
      const world = makeWorld()
      await walError(world.open({ createIfMissing: false }), 'WAL_NOT_FOUND')
      expect(await world.fs.stat(world.directory)).toBe(undefined)
      await world.fs.createDirectory(world.directory)
      await walError(world.open({ createIfMissing: false }), 'WAL_NOT_FOUND')
      expect((await world.names()).filter(name => name !== 'lock')).toEqual([])
      await (await world.open()).close()
      expect((await world.open({ createIfMissing: false })).lastIndex).toBe(0)
    })

    test('logs below a directory that is not there yet can be created at the same time', async () => {
      const { fs } = makeWorld()
      const paths = ['/new/deep/a', '/new/deep/b']
      const openAll = (fileSystem: SimulatedFileSystem) => Promise.all(paths.map(path => openWal(path, { fileSystem })))
      const logs = await openAll(fs)
      expect(await Promise.all(logs.map(wal => wal.append('a')))).toEqual([1, 1])
      expect((await openAll(fs.crash({ seed: 0 }))).map(wal => wal.lastIndex)).toEqual([1, 1])
    })

    test('what creation has acknowledged survives a power cut at once', async () => {
      const world = makeWorld()
      await world.open()
      const after = await world.open({ fileSystem: world.fs.crashImage({ seed: 0 }), createIfMissing: false })
      expect(after.lastIndex).toBe(0)
    })
  })

  describe('what is stored', () => {
    test('another encoding is WAL_MISMATCH, whichever opens', async () => {
      const world = await threeSegments()
      const before = await pictureOf(world)
      for (const other of [bytes(), json(), { ...text(), name: 'mine' }]) {
        const error = await walError(world.openAs<unknown, unknown>(other as never), 'WAL_MISMATCH')
        expect(error.message).toMatch(/'text'/)
        expect(error.message).toMatch(`'${other.name}'`)
      }
      expect(await pictureOf(world)).toEqual(before)
      expect((await world.open()).lastIndex).toBe(25)
    })

    test('limits may be raised and lowered: old entries stay readable, new ones go by the new limits', async () => {
      const world = makeWorld()
      const small = await world.open({ maxEntryBytes: 100 })
      await walError(small.append('x'.repeat(101)), 'WAL_ENTRY_TOO_LARGE')
      await small.append('x'.repeat(100))
      await small.close()
      const large = await world.open({ maxEntryBytes: 1000 })
      await large.append('y'.repeat(1000))
      expect(large.segments()).toHaveLength(2)
      await large.close()
      const tiny = await world.open({ maxEntryBytes: 10 })
      await walError(tiny.append('z'.repeat(11)), 'WAL_ENTRY_TOO_LARGE')
      await tiny.append('z'.repeat(10))
      const lengths = async () => (await dataOf(tiny.replay())).map(data => data.length)
      expect(await lengths()).toEqual([100, 1000, 10])
      expect((await tiny.get(2)).data).toHaveLength(1000)
      await tiny.close()
      expect((await world.open()).lastIndex).toBe(3)
    })
  })

  describe('files of others', () => {
    test('are left alone and reported, also those that look almost like ours', async () => {
      const world = await threeSegments()
      const names = ['notes.txt', '1-1.wal', `${first}.bak`, 'data[1]', 'new\nline', '.hidden', 'mine.tmp']
      for (const name of names) await world.write(name, Buffer.from('mine'))
      await world.fs.createDirectory(`${world.directory}/folder`)
      const reported: unknown[] = []
      const quiet = () => undefined
      const logger = { debug: quiet, info: quiet, error: quiet, warn: (obj: object) => reported.push(obj) }
      const wal = await world.open({ logger })
      expect(await indexesOf(wal.replay())).toEqual(range(1, 25))
      await wal.close()
      for (const name of names) expect(world.read(name).toString()).toBe('mine')
      const found = reported.flatMap(obj => (obj as { name?: string }).name ?? [])
      expect(found.sort()).toEqual([...names, 'folder'].sort())
    })

    test('our own unfinished files are removed and reported', async () => {
      const world = await threeSegments()
      for (const name of ['next.tmp', 'manifest.tmp', 'mark.tmp']) await world.write(name, Buffer.alloc(100))
      const wal = await world.open()
      expect(wal.recoveryReport).toMatchObject({
        clean: true,
        removedFiles: ['next.tmp', 'manifest.tmp', 'mark.tmp'].map(name => `${world.directory}/${name}`),
      })
      expect((await world.names()).filter(name => name.endsWith('.tmp'))).toEqual([])
    })
  })

  describe('segments that do not fit: WAL_CORRUPT, nothing touched', () => {
    const cases: [string, (world: Three) => Promise<void> | void, object][] = [
      ['a missing one in the middle', world => world.remove(second), { kind: 'missing', lastIndex: 20 }],
      ['the first one missing', world => world.remove(first), { kind: 'missing', lastIndex: 10 }],
      ['the newest one missing', world => world.remove(third), { kind: 'missing' }],
      ['all of them missing', world => [first, second, third].forEach(world.remove), { kind: 'missing' }],
      [
        'a copy under the next name',
        world => world.write(segmentName(4, 26), world.read(third)),
        { kind: 'duplicate', segment: `/log/${segmentName(4, 26)}` },
      ],
      [
        'two under one id',
        world => world.write(segmentName(2, 15), world.read(second)),
        { kind: 'duplicate', segment: `/log/${segmentName(2, 15)}` },
      ],
      [
        'a renamed one',
        async world => {
          await world.write(segmentName(2, 12), world.read(second))
          world.remove(second)
        },
        { kind: 'duplicate' },
      ],
      [
        'one of another log',
        async world => world.write(second, (await threeSegments()).read(second)),
        { kind: 'foreign', segment: `/log/${second}` },
      ],
      [
        'one without a readable header',
        world => world.write(second, flipped(world.read(second), 100)),
        { kind: 'corrupt', segment: `/log/${second}`, offset: 0 },
      ],
      [
        'the newest without a readable header',
        world => world.write(third, Buffer.alloc(0)),
        { kind: 'corrupt', segment: `/log/${third}`, offset: 0 },
      ],
      [
        'one that is shorter than its successor says',
        world => world.write(first, world.read(first).subarray(0, lastOf(world, 1))),
        { kind: 'corrupt', segment: `/log/${first}`, firstIndex: 1, lastIndex: 10 },
      ],
      [
        'the newest shorter than the manifest says',
        world => world.write(third, world.read(third).subarray(0, lastOf(world, 3))),
        { kind: 'corrupt', segment: `/log/${third}`, firstIndex: 21, lastIndex: 25 },
      ],
      [
        'rot in the newest of a log that was closed in order',
        world => world.write(third, flipped(world.read(third), lastOf(world, 3))),
        { kind: 'corrupt', segment: `/log/${third}`, offset: expect.any(Number), firstIndex: 21, lastIndex: 25 },
      ],
    ]
    test.each(cases)('%s', async (_what, damage, expected) => {
      const world = await threeSegments()
      await damage(world)
      const error = await refuses(world, 'WAL_CORRUPT')
      expect(error).toMatchObject(expected)
      expect(error.message.length).toBeGreaterThan(40)
    })

    test('an older copy of the newest segment', async () => {
      const world = makeWorld()
      const wal = await world.open()
      await fill(wal, 10)
      await wal.close()
      const older = world.read(segmentName(1, 1))
      const again = await world.open()
      await fill(again, 10)
      await again.close()
      await world.write(segmentName(1, 1), older)
      expect(await refuses(world, 'WAL_CORRUPT')).toMatchObject({ kind: 'corrupt', firstIndex: 11, lastIndex: 20 })
    })

    test('rot in a sealed segment is found by those who read it, with segment, offset and range', async () => {
      const world = await threeSegments()
      await world.write(second, flipped(world.read(second), lastOf(world, 2)))
      const wal = await world.open()
      const expected = { kind: 'corrupt', segment: `/log/${second}`, offset: expect.any(Number), lastIndex: 20 }
      for (const read of [indexesOf(wal.replay()), wal.getRange(12, 13)])
        expect(await walError(read, 'WAL_CORRUPT')).toMatchObject(expected)
      await walError(wal.get(11), 'WAL_CORRUPT')
      expect((await wal.get(10)).data).toBe('entry 10')
      expect(await indexesOf(wal.replay(21))).toEqual(range(21, 25))
      expect(await wal.append('on')).toBe(26)
    })

    test('a sealed segment that disappears from an open log is found by those who read it', async () => {
      const world = await threeSegments()
      const wal = await world.open()
      world.remove(first)
      expect(await walError(indexesOf(wal.replay()), 'WAL_CORRUPT')).toMatchObject({
        kind: 'missing',
        segment: `/log/${first}`,
        firstIndex: 1,
        lastIndex: 10,
      })
      expect(await wal.append('on')).toBe(26)
    })
  })

  describe('the manifest', () => {
    test('damaged in both slots, or gone: WAL_CORRUPT of kind manifest, nothing touched', async () => {
      for (const damage of [
        (world: HeldWorld) => world.write('manifest', Buffer.alloc(TWO_SLOT_FILE_BYTES, 7)),
        (world: HeldWorld) => world.write('manifest', Buffer.alloc(0)),
        (world: HeldWorld) => world.remove('manifest'),
      ]) {
        const world = await threeSegments()
        await damage(world)
        expect(await refuses(world, 'WAL_CORRUPT')).toMatchObject({ kind: 'manifest' })
      }
    })

    test('damaged in one slot: nothing is lost', async () => {
      for (const at of [200, 4096 + 200]) {
        const world = await threeSegments()
        await world.write('manifest', flipped(world.read('manifest'), at))
        const wal = await world.open()
        expect(await indexesOf(wal.replay())).toEqual(range(1, 25))
        expect(await wal.append('on')).toBe(26)
      }
    })

    test('of another log: WAL_CORRUPT, foreign', async () => {
      const world = await threeSegments()
      await world.write('manifest', (await threeSegments()).read('manifest'))
      expect(await refuses(world, 'WAL_CORRUPT')).toMatchObject({ kind: 'foreign' })
    })

    test('the mark may be gone, damaged or foreign', async () => {
      const foreign = (await threeSegments()).read('mark')
      for (const mark of [undefined, Buffer.alloc(10), Buffer.alloc(TWO_SLOT_FILE_BYTES, 3), foreign]) {
        const world = await threeSegments()
        if (mark === undefined) world.remove('mark')
        else await world.write('mark', mark)
        expect((await world.open()).lastIndex).toBe(25)
      }
    })
  })

  describe('recovery', () => {
    /** A log killed with this behind its last commit. */
    async function killedWith(tail: Uint8Array): Promise<HeldWorld> {
      const world = makeWorld()
      const wal = await world.open({ io: 'buffered' })
      await fill(wal, 5)
      const killed = world.fs.kill({ seed: 1 })
      const bytes = killed.contents(`/log/${first}`)
      killed.place(`/log/${first}`, Buffer.concat([bytes, tail]))
      const next = makeWorld()
      for (const name of await killed.list('/log')) {
        if (name !== 'lock') await next.write(name, killed.contents(`/log/${name}`))
      }
      return next
    }

    test('a torn tail is left out, kept and reported; the log goes on', async () => {
      const world = await killedWith(Buffer.from('torn bytes of a commit'))
      const torn = world.read(first)
      const wal = await world.open()
      expect(wal.recoveryReport).toMatchObject({
        clean: false,
        cutBytes: 22,
        cutFromIndex: 6,
        cutPath: `/log/${first}`,
        removedFiles: [],
        durationMs: expect.any(Number),
      })
      expect(world.read(first)).toEqual(torn)
      expect(await indexesOf(wal.replay())).toEqual(range(1, 5))
      expect(await wal.append('on')).toBe(6)
      await wal.close()
      const again = await world.open()
      expect([again.recoveryReport.clean, again.lastIndex]).toEqual([true, 6])
    })

    test('zeros behind the end, and an end without close, are no damage', async () => {
      for (const tail of [Buffer.alloc(0), Buffer.alloc(10_000)]) {
        const world = await killedWith(tail)
        const wal = await world.open({ recovery: 'strict' })
        expect(wal.recoveryReport).toMatchObject({ clean: false, cutBytes: 0 })
        expect(wal.recoveryReport).not.toHaveProperty('cutFromIndex')
        expect(await indexesOf(wal.replay())).toEqual(range(1, 5))
      }
    })

    test("'strict' refuses a torn tail with its place, and touches nothing", async () => {
      const world = await killedWith(Buffer.from('torn'))
      const error = await refuses(world, 'WAL_CORRUPT', { recovery: 'strict' })
      expect(error).toMatchObject({ kind: 'torn', segment: `/log/${first}`, firstIndex: 6 })
      expect(error.message).toMatch('tolerate-torn-tail')
      expect((await world.open()).lastIndex).toBe(5)
    })

    test('a failing disk while opening is WAL_IO or WAL_NO_SPACE with the cause; the next try succeeds', async () => {
      const errors = ['EIO', 'ENOSPC', 'EACCES', 'EROFS', 'EMFILE'] as const
      for (let nth = 1; nth <= 50; nth++) {
        const error = errors[nth % errors.length] as (typeof errors)[number]
        const world = await killedWith(Buffer.from('torn'))
        world.fs.failNth(nth, { error, filter: ({ kind }) => kind !== 'lock' && kind !== 'list' })
        const outcome = await world.open().catch(failure => failure)
        world.fs.clearFaults()
        if (outcome instanceof Error) {
          const code = error === 'ENOSPC' ? 'WAL_NO_SPACE' : 'WAL_IO'
          expect(outcome).toMatchObject({ code, cause: { code: error } })
        } else await outcome.close()
        const wal = await world.open()
        expect(await indexesOf(wal.replay())).toEqual(range(1, 5))
        await wal.close()
      }
    })
  })

  describe('the lock', () => {
    test('a second opener gets WAL_LOCKED at once, and the log when the first has closed', async () => {
      const world = makeWorld()
      const wal = await world.open()
      expect((await walError(world.open(), 'WAL_LOCKED')).message).toMatch(`process ${process.pid}`)
      await wal.append('a')
      await wal.close()
      expect((await world.open()).lastIndex).toBe(1)
    })

    test('is free again after an opening that failed', async () => {
      const world = await threeSegments()
      await walError(world.openAs(bytes()), 'WAL_MISMATCH')
      expect((await world.open()).lastIndex).toBe(25)
    })

    test('of your own: asked for the path, released at close and after a failed opening; its refusal is the outcome', async () => {
      const world = makeWorld()
      const calls: string[] = []
      const lock = {
        acquire: async (path: string) => {
          calls.push(`acquire ${path}`)
          return { release: async () => void calls.push('release') }
        },
      }
      const wal = await world.open({ lock })
      await wal.close()
      await walError(world.openAs(bytes(), { lock }), 'WAL_MISMATCH')
      expect(calls).toEqual(['acquire /log/lock', 'release', 'acquire /log/lock', 'release'])
      const refusal = new Error('mine')
      expect(await rejection(world.open({ lock: { acquire: () => Promise.reject(refusal) } }))).toBe(refusal)
    })
  })
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}
