import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import type { File } from '../../src/file-system/types.js'

const SEEDS = 400
const SECTOR = 512

async function store(file: File, bytes: Uint8Array, position = 0): Promise<void> {
  expect(await file.write(bytes, 0, bytes.length, position)).toBe(bytes.length)
}

/** Sectors filled with one letter each. */
function sectors(letters: string): Buffer {
  return Buffer.concat([...letters].map(letter => Buffer.alloc(SECTOR, letter)))
}

/** The first letter of each sector; `-` for zeros, `!` for a sector that is mixed. */
function lettersOf(bytes: Uint8Array): string {
  let letters = ''
  for (let at = 0; at < bytes.length; at += SECTOR) {
    const sector = bytes.subarray(at, at + SECTOR)
    const first = sector[0] as number
    letters += sector.some(byte => byte !== first) ? '!' : first === 0 ? '-' : String.fromCharCode(first)
  }
  return letters
}

/** A file whose name is durable and which holds, durably, these sectors. */
async function durableFile(fs: SimulatedFileSystem, path: string, letters: string): Promise<File> {
  const file = await fs.open(path, 'create')
  await store(file, sectors(letters))
  await file.sync()
  await fs.syncDirectory('/')
  return file
}

/** Everything a power cut can make of a file, as letters, or 'missing'. */
async function outcomes(fs: SimulatedFileSystem, path = '/a'): Promise<Set<string>> {
  const images = Array.from({ length: SEEDS }, (_, seed) => fs.crashImage({ seed }))
  const seen = new Set<string>()
  for (const after of images) seen.add((await after.stat(path)) ? lettersOf(after.contents(path)) : 'missing')
  return seen
}

async function namesAfterCuts(fs: SimulatedFileSystem, directory = '/'): Promise<Set<string>> {
  const seen = new Set<string>()
  for (let seed = 0; seed < SEEDS; seed++) {
    const names = await fs.crashImage({ seed }).list(directory)
    seen.add(names.sort().join(' '))
  }
  return seen
}

/** All subsets of some letters' positions replaced by others. */
function mixes(before: string, after: string): string[] {
  return [...before].reduce<string[]>(
    (all, old, i) => all.flatMap(mix => (old === after[i] ? [mix + old] : [mix + old, mix + after[i]])),
    [''],
  )
}

describe('contents after a power cut', () => {
  test('what was synced is there, whatever the seed', async () => {
    const fs = new SimulatedFileSystem()
    await durableFile(fs, '/a', 'abcd')
    expect(await outcomes(fs)).toEqual(new Set(['abcd']))
  })

  test('of an unsynced overwrite each sector is old or new, in every combination', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', 'abcd')
    await store(file, sectors('ABCD'))
    expect(lettersOf(fs.contents('/a'))).toBe('ABCD')
    expect([...(await outcomes(fs))].sort()).toEqual(mixes('abcd', 'ABCD').sort())
  })

  test('seed 0 keeps nothing unsynced, seed 1 everything', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', 'abcd')
    await store(file, sectors('WXYZ!'))
    await fs.rename('/a', '/b')
    const none = fs.crashImage({ seed: 0 })
    expect(await none.list('/')).toEqual(['a'])
    expect(lettersOf(none.contents('/a'))).toBe('abcd')
    const all = fs.crashImage({ seed: 1 })
    expect(await all.list('/')).toEqual(['b'])
    expect(lettersOf(all.contents('/b'))).toBe('WXYZ!')
  })

  test('a sector that was rewritten twice may be at any of its versions', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', 'a')
    await store(file, sectors('b'))
    await store(file, sectors('c'))
    expect([...(await outcomes(fs))].sort()).toEqual(['a', 'b', 'c'])
  })

  test('a later write may be there and an earlier one not', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', 'ab')
    await store(file, sectors('A'), 0)
    await store(file, sectors('B'), SECTOR)
    expect(await outcomes(fs)).toContain('aB')
  })

  test('a write that is not aligned tears at sectors, too', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', 'aa')
    await store(file, Buffer.alloc(200, 'b'), 412)
    const seen = new Set<string>()
    for (let seed = 0; seed < SEEDS; seed++) {
      const bytes = fs.crashImage({ seed }).contents('/a').toString()
      seen.add(bytes.replace(/(.)\1*/g, match => `${match[0]}${match.length} `).trim())
    }
    expect([...seen].sort()).toEqual(['a1024', 'a412 b100 a512', 'a412 b200 a412', 'a512 b100 a412'])
  })

  test('a size may be there without its data, and data without their size', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', 'a')
    await store(file, sectors('bc'), SECTOR)
    const seen = await outcomes(fs)
    expect([...seen].sort()).toEqual(['a', 'a--', 'a-c', 'ab-', 'abc'])
  })

  test('an unsynced truncation may be undone', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', 'abcd')
    await file.truncate(2 * SECTOR)
    const seen = await outcomes(fs)
    expect(seen).toContain('abcd')
    expect(seen).toContain('ab')
    expect(seen).toContain('abc-')
    await file.sync()
    expect(await outcomes(fs)).toEqual(new Set(['ab']))
  })

  test('what was cut off never comes back behind a synced extension', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', 'abcd')
    await file.truncate(100)
    await store(file, sectors('x'), 2 * SECTOR)
    await file.sync()
    expect(await outcomes(fs)).toEqual(new Set([lettersOf(fs.contents('/a'))]))
    expect(lettersOf(fs.contents('/a'))).toBe('!-x')
  })

  test('a sync covers the writes that had settled when it was called, and no others', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', 'ab')
    await store(file, sectors('A'), 0)
    const late = file.write(sectors('B'), 0, SECTOR, SECTOR)
    await Promise.all([late, file.sync()])
    expect([...(await outcomes(fs))].sort()).toEqual(['AB', 'Ab'])
  })

  test('what synced files hold is exactly what the processes saw, for any workload and any seed', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('write' as const), position: fc.nat(9000), length: fc.nat(5000) }),
      fc.record({ kind: fc.constant('truncate' as const), length: fc.nat(9000) }),
      fc.record({ kind: fc.constant('sync' as const) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), fc.nat(), async (steps, seed) => {
        const fs = new SimulatedFileSystem()
        const file = await durableFile(fs, '/a', '')
        let letter = 0
        for (const step of steps) {
          if (step.kind === 'sync') await file.sync()
          else if (step.kind === 'truncate') await file.truncate(step.length)
          else await store(file, Buffer.alloc(step.length, 65 + (letter++ % 26)), step.position)
        }
        const seen = fs.contents('/a')
        expect(fs.crashImage({ seed: 1 }).contents('/a').equals(seen)).toBe(true)
        await file.sync()
        expect(fs.crashImage({ seed }).contents('/a').equals(seen)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})

describe('names after a power cut', () => {
  test('a new name is there only once its directory was synced, however synced the file', async () => {
    const fs = new SimulatedFileSystem()
    const file = await fs.open('/a', 'create')
    await store(file, sectors('a'))
    await file.sync()
    expect([...(await outcomes(fs))].sort()).toEqual(['a', 'missing'])
    await fs.syncDirectory('/')
    expect(await outcomes(fs)).toEqual(new Set(['a']))
  })

  test('unlinked files come back in any subset', async () => {
    const fs = new SimulatedFileSystem()
    for (const name of 'abc') await (await durableFile(fs, `/${name}`, name)).close()
    for (const name of 'abc') await fs.unlink(`/${name}`)
    expect((await namesAfterCuts(fs)).size).toBe(8)
    const all = fs.crashImage({ seed: 0 })
    expect(lettersOf(all.contents('/b'))).toBe('b')
    await fs.syncDirectory('/')
    expect(await namesAfterCuts(fs)).toEqual(new Set(['']))
  })

  test('a rename is there whole or not at all', async () => {
    const fs = new SimulatedFileSystem()
    await durableFile(fs, '/a', 'a')
    await durableFile(fs, '/b', 'b')
    await fs.rename('/a', '/b')
    expect(await namesAfterCuts(fs)).toEqual(new Set(['a b', 'b']))
    expect(await outcomes(fs, '/b')).toEqual(new Set(['a', 'b']))
  })

  test('changes of one name survive in order', async () => {
    const fs = new SimulatedFileSystem()
    const file = await fs.open('/a.tmp', 'create')
    await file.sync()
    await fs.rename('/a.tmp', '/a')
    await fs.rename('/a', '/b')
    expect(await namesAfterCuts(fs)).toEqual(new Set(['', 'a.tmp', 'a', 'b']))
  })

  test('a link to a file is a name of its own', async () => {
    const fs = new SimulatedFileSystem()
    await durableFile(fs, '/a', 'a')
    await fs.createDirectory('/d')
    await fs.syncDirectory('/')
    await fs.link('/a', '/d/b')
    await fs.unlink('/a')
    await fs.syncDirectory('/')
    expect(await namesAfterCuts(fs, '/d')).toEqual(new Set(['', 'b']))
    await fs.syncDirectory('/d')
    const after = fs.crash({ seed: 0 })
    expect(await after.list('/')).toEqual(['d'])
    expect(lettersOf(after.contents('/d/b'))).toBe('a')
  })

  test('without its parent synced a directory is lost with all that was synced in it', async () => {
    const fs = new SimulatedFileSystem()
    await fs.createDirectory('/d')
    await (await fs.open('/d/a', 'create')).sync()
    await fs.syncDirectory('/d')
    expect(await namesAfterCuts(fs)).toEqual(new Set(['', 'd']))
    await fs.syncDirectory('/')
    expect(await namesAfterCuts(fs, '/d')).toEqual(new Set(['a']))
  })

  test('a file moved to another directory is durable there, and gone here, once either is synced', async () => {
    const fs = new SimulatedFileSystem()
    for (const directory of ['/from', '/to']) await fs.createDirectory(directory)
    await fs.syncDirectory('/')
    await fs.open('/from/a', 'create')
    await fs.rename('/from/a', '/to/a')
    expect(await namesAfterCuts(fs, '/from')).toEqual(new Set(['', 'a']))
    await fs.syncDirectory('/to')
    expect(await namesAfterCuts(fs, '/from')).toEqual(new Set(['']))
    expect(await namesAfterCuts(fs, '/to')).toEqual(new Set(['a']))
  })

  test('a sync covers the changes that had settled when it was called, and no others', async () => {
    const fs = new SimulatedFileSystem()
    const create = fs.open('/a', 'create')
    await Promise.all([create, fs.syncDirectory('/')])
    expect(await namesAfterCuts(fs)).toEqual(new Set(['', 'a']))
  })

  test('a failed directory sync is not made good by the next', async () => {
    const fs = new SimulatedFileSystem()
    await fs.open('/a', 'create')
    fs.failNth(1, { filter: ({ kind }) => kind === 'syncDirectory' })
    await expect(fs.syncDirectory('/')).rejects.toMatchObject({ code: 'EIO' })
    await fs.syncDirectory('/')
    expect(await namesAfterCuts(fs)).toEqual(new Set(['', 'a']))
  })
})

describe('the moment of a crash', () => {
  test('every call under way and every later one rejects', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', 'ab')
    const lock = await fs.lock('/lock', 'me')
    const write = file.write(sectors('X'), 0, SECTOR, 0)
    expect(fs.crashed).toBe(false)
    fs.crash({ seed: 5 })
    expect(fs.crashed).toBe(true)
    const crashed = { code: 'SIM_CRASHED' }
    await expect(write).rejects.toMatchObject(crashed)
    await expect(file.sync()).rejects.toMatchObject(crashed)
    await expect(fs.list('/')).rejects.toMatchObject(crashed)
    await expect(lock?.release()).rejects.toMatchObject(crashed)
    expect(() => fs.openSync('/a')).toThrow(expect.objectContaining(crashed))
    expect(() => file.readSync(Buffer.alloc(1), 0, 1, 0)).toThrow(expect.objectContaining(crashed))
    await file.close()
  })

  test('crashAt stops in the midst of the operation of that number, which may be done in part', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', 'ab')
    const before = fs.operations
    expect(before).toBe(4)
    fs.crashAt(before + 2)
    await file.sync()
    await expect(file.write(sectors('AB'), 0, 2 * SECTOR, 0)).rejects.toMatchObject({ code: 'SIM_CRASHED' })
    expect([...(await outcomes(fs))].sort()).toEqual(mixes('ab', 'AB').sort())
  })

  test('looking is not counted, changing and syncing is', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', 'ab')
    const seen: string[] = []
    fs.onOperation = ({ kind, number }) => seen.push(`${kind} ${number - 4}`)
    await fs.list('/')
    await fs.stat('/a')
    await (await fs.open('/a', 'read')).read(Buffer.alloc(1), 0, 1, 0)
    await file.size()
    await store(file, sectors('x'))
    await file.truncate(3)
    await file.sync()
    await fs.createDirectory('/d')
    await fs.link('/a', '/b')
    await fs.rename('/b', '/c')
    await fs.unlink('/c')
    await fs.syncDirectory('/')
    await fs.lock('/lock', 'me')
    await fs.open('/e', 'create')
    expect(seen).toEqual([
      'write 1',
      'truncate 2',
      'sync 3',
      'createDirectory 4',
      'link 5',
      'rename 6',
      'unlink 7',
      'syncDirectory 8',
      'lock 9',
      'create 10',
    ])
    expect(fs.operations).toBe(14)
  })

  test('the same seed gives the same crash', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', 'abcdefgh')
    await store(file, sectors('ABCDEFGHIJKLMNOP'))
    for (const seed of [2, 3, 4, 5, 6, 1234567]) {
      const [once, again] = [fs.crashImage({ seed }), fs.crashImage({ seed })]
      expect(lettersOf(once.contents('/a'))).toBe(lettersOf(again.contents('/a')))
    }
  })

  test('a picture of a crash leaves the running file system alone, and the other way round', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', 'ab')
    await store(file, sectors('AB'))
    const image = fs.crashImage({ seed: 0 })
    const other = await image.open('/a', 'write')
    await store(other, sectors('xyz'))
    await other.sync()
    await store(file, sectors('C'))
    await file.sync()
    expect(lettersOf(fs.contents('/a'))).toBe('CB')
    expect(lettersOf(image.contents('/a'))).toBe('xyz')
    expect(await outcomes(fs)).toEqual(new Set(['CB']))
    expect(await outcomes(image)).toEqual(new Set(['xyz']))
  })

  test('a file system that came up after a crash can crash again', async () => {
    const fs = new SimulatedFileSystem()
    await store(await durableFile(fs, '/a', 'ab'), sectors('A'))
    const second = fs.crash({ seed: 1 })
    const file = await second.open('/a', 'write')
    await store(file, sectors('B'), SECTOR)
    expect([...(await outcomes(second))].sort()).toEqual(['AB', 'Ab'])
    expect(second.operations).toBe(1)
  })

  test('kill -9 keeps what was written, frees the locks, and makes nothing durable', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', 'ab')
    await store(file, sectors('AB'))
    await fs.rename('/a', '/b')
    await fs.lock('/lock', 'me')
    const next = fs.kill()
    await expect(file.sync()).rejects.toMatchObject({ code: 'SIM_CRASHED' })
    expect(lettersOf(next.contents('/b'))).toBe('AB')
    expect(await next.lock('/lock', 'me')).toBeDefined()
    const cut = next.crash({ seed: 0 })
    expect(await cut.list('/')).toEqual(['a'])
    expect(lettersOf(cut.contents('/a'))).toBe('ab')
  })

  test('a write under way at kill -9 ends between two pages', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '/a', '')
    file.write(sectors('abcdefghijklmnopqrst'), 0, 20 * SECTOR, 0).catch(() => {})
    const seen = new Set<string>()
    for (let seed = 0; seed < 50; seed++) seen.add(lettersOf(fs.kill({ seed }).contents('/a')))
    expect([...seen].sort()).toEqual(['', 'abcdefgh', 'abcdefghijklmnop', 'abcdefghijklmnopqrst'])
  })

  test('of the names under way at kill -9 each is there or not', async () => {
    const fs = new SimulatedFileSystem()
    for (const name of 'ab') fs.open(`/${name}`, 'create').catch(() => {})
    const seen = new Set<string>()
    for (let seed = 0; seed < 50; seed++) seen.add((await fs.kill({ seed }).list('/')).join(' '))
    expect([...seen].sort()).toEqual(['', 'a', 'a b', 'b'])
  })
})

describe('direct writes', () => {
  const block = (letter: string) => Buffer.from(new ArrayBuffer(4096)).fill(letter)

  async function directFile(options = {}): Promise<{ fs: SimulatedFileSystem; file: File }> {
    const fs = new SimulatedFileSystem(options)
    const file = await fs.open('/a', 'create', { direct: true })
    await fs.syncDirectory('/')
    await store(file, block('a'))
    return { fs, file }
  }

  test('are durable once they settle, size and all', async () => {
    const { fs, file } = await directFile()
    expect(await outcomes(fs)).toEqual(new Set(['aaaaaaaa']))
    await store(file, block('b'), 4096)
    expect(await outcomes(fs)).toEqual(new Set(['aaaaaaaabbbbbbbb']))
  })

  test('may be torn while they are under way', async () => {
    const { fs, file } = await directFile()
    const write = file.write(block('b'), 0, 4096, 0)
    const seen = await outcomes(fs)
    expect(seen).toContain('aaaaaaaa')
    expect(seen).toContain('bbbbbbbb')
    expect(seen.size).toBeGreaterThan(20)
    await write
    expect(await outcomes(fs)).toEqual(new Set(['bbbbbbbb']))
  })

  test('write back what the page cache holds of their range, and no other data', async () => {
    const { fs, file } = await directFile()
    const buffered = await fs.open('/a', 'write')
    await store(buffered, sectors('x'), 0)
    await store(buffered, sectors('y'), 8192)
    await store(file, block('c'), 0)
    const seen = await outcomes(fs)
    for (const letters of seen) expect(letters.slice(0, 8)).toBe('cccccccc')
    expect(seen).toContain('cccccccc')
    expect(seen).toContain('cccccccc--------y')
  })

  test('are never taken back by a truncation that was made before', async () => {
    const { fs, file } = await directFile()
    await store(file, block('b'), 4096)
    await file.truncate(4096)
    await store(file, block('c'), 4096)
    expect(await outcomes(fs)).toEqual(new Set(['aaaaaaaacccccccc']))
  })

  test('do not bring back what was cut off before', async () => {
    const { fs, file } = await directFile()
    await store(await fs.open('/a', 'write'), sectors('vwxyz'), 4096 - 2 * SECTOR)
    await file.truncate(4096 - SECTOR)
    await store(file, block('c'), 8192)
    const letters = [...(await outcomes(fs))].sort()
    expect(letters).toEqual(['aaaaaaa---------cccccccc', 'aaaaaav---------cccccccc'])
  })

  test('that fail may have reached the disk in part', async () => {
    const seen = new Set<string>()
    for (let seed = 0; seed < 100; seed++) {
      const { fs, file } = await directFile({ seed })
      fs.failNth(1, { error: 'EIO' })
      await expect(file.write(block('b'), 0, 4096, 0)).rejects.toMatchObject({ code: 'EIO', errno: -5 })
      seen.add(lettersOf(fs.crash({ seed: 0 }).contents('/a')))
    }
    expect(seen).toContain('aaaaaaaa')
    expect(seen).toContain('bbbbaaaa')
    expect(seen).toContain('bbbbbbbb')
  })

  test('are EINVAL where the file system has none', async () => {
    const fs = new SimulatedFileSystem({ supportsDirect: false })
    await expect(fs.open('/a', 'create', { direct: true })).rejects.toMatchObject({ code: 'EINVAL', errno: -22 })
    expect(await fs.list('/')).toEqual([])
  })
})
