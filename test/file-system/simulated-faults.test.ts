import { describe, expect, test } from 'vitest'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import type { SimulatedOperation } from '../../src/file-system/simulation/operation.js'
import type { File } from '../../src/file-system/types.js'

const ZEROS = '\0\0\0\0'
const BLOCK = 4096

const isSync = ({ kind }: SimulatedOperation) => kind === 'sync'

async function put(file: File, text: string, position = 0): Promise<number> {
  return file.write(Buffer.from(text), 0, text.length, position)
}

/** A file with a durable name and these durable contents. */
async function durableFile(fs: SimulatedFileSystem, text: string, path = '/a'): Promise<File> {
  const file = await fs.open(path, 'create')
  await put(file, text)
  await file.sync()
  await fs.syncDirectory('/')
  return file
}

/** One whose last four bytes the disk has lost after a sync that failed, all seeds alike. */
async function afterFailedSync(seed: number): Promise<{ fs: SimulatedFileSystem; file: File }> {
  const fs = new SimulatedFileSystem({ seed })
  const file = await durableFile(fs, 'x'.repeat(BLOCK))
  await put(file, 'lost', BLOCK)
  fs.failNth(1, { filter: isSync })
  await expect(file.sync()).rejects.toMatchObject({ code: 'EIO', errno: -5, path: '/a' })
  return { fs, file }
}

function tail(fs: SimulatedFileSystem, path = '/a'): string {
  return fs.contents(path).toString('latin1', BLOCK)
}

/** Whether the disk has the last four bytes after repairing, for many ways the failure may have gone. */
async function survivesRepair(repair: (fs: SimulatedFileSystem, file: File) => Promise<string>): Promise<boolean> {
  for (let seed = 0; seed < 40; seed++) {
    const { fs, file } = await afterFailedSync(seed)
    const path = await repair(fs, file)
    if (tail(fs.crash({ seed: 0 }), path) !== 'lost') return false
  }
  return true
}

describe('after a sync that failed', () => {
  test('reads show the data, the next sync says ok, and they are lost', async () => {
    const lost = await survivesRepair(async (fs, file) => {
      expect(tail(fs)).toBe('lost')
      await file.sync()
      await file.sync()
      return '/a'
    })
    expect(lost).toBe(false)
  })

  test('another process sees no error either', async () => {
    const { fs } = await afterFailedSync(1)
    const next = fs.kill()
    const file = await next.open('/a', 'write')
    await file.sync()
    expect(tail(next)).toBe('lost')
    expect(tail(next.crash({ seed: 1 }))).not.toBe('lost')
  })

  test('writing the same range again in place is lost where it was an extension', async () => {
    const safe = await survivesRepair(async (_, file) => {
      await put(file, 'lost', BLOCK)
      await file.sync()
      return '/a'
    })
    expect(safe).toBe(false)
    const { fs, file } = await afterFailedSync(1)
    await put(file, 'lost', BLOCK)
    expect(tail(fs.crash({ seed: 1 }))).not.toBe('lost')
  })

  test('what reached the disk behind its end is not seen after a crash', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const after = (await afterFailedSync(seed)).fs.crash({ seed: 0 })
      expect(tail(after)).toBe('')
      await put(await after.open('/a', 'write'), 'end', BLOCK + 4)
      expect(tail(after)).toBe(`${ZEROS}end`)
    }
  })

  test('cutting back to the durable end and writing again is safe', async () => {
    const safe = await survivesRepair(async (_, file) => {
      await file.truncate(BLOCK)
      await put(file, 'lost', BLOCK)
      await file.sync()
      return '/a'
    })
    expect(safe).toBe(true)
  })

  test('copying to another file is safe', async () => {
    const safe = await survivesRepair(async fs => {
      await durableFile(fs, fs.contents('/a').toString(), '/b')
      return '/b'
    })
    expect(safe).toBe(true)
  })

  test('rewriting space that was allocated before is safe, syncing it again is not', async () => {
    const outcomes = new Set<string>()
    for (let seed = 0; seed < 40; seed++) {
      const fs = new SimulatedFileSystem({ seed })
      const file = await durableFile(fs, 'x'.repeat(BLOCK) + ZEROS)
      await put(file, 'lost', BLOCK)
      fs.failNth(1, { filter: isSync })
      await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' })
      await file.sync()
      outcomes.add(tail(fs.crashImage({ seed: 0 })))
      await put(file, 'lost', BLOCK)
      await file.sync()
      expect(tail(fs.crash({ seed: 0 }))).toBe('lost')
    }
    expect(outcomes).toContain(ZEROS)
  })

  test('a direct read shows what the disk has', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, '\0'.repeat(2 * BLOCK))
    await put(file, 'lost', BLOCK)
    fs.failNth(1, { filter: isSync })
    await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' })
    const buffer = Buffer.from(new ArrayBuffer(BLOCK))
    await (await fs.open('/a', 'read', { direct: true })).read(buffer, 0, BLOCK, BLOCK)
    expect(buffer.toString('latin1', 0, 4)).toBe(ZEROS)
    await file.read(buffer, 0, BLOCK, BLOCK)
    expect(buffer.toString('latin1', 0, 4)).toBe('lost')
    await put(file, 'back', BLOCK)
    await (await fs.open('/a', 'read', { direct: true })).read(buffer, 0, BLOCK, BLOCK)
    expect(buffer.toString('latin1', 0, 4)).toBe('back')
  })
})

describe('a write-back that failed', () => {
  test('is reported by the next sync once, whichever process makes it', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, 'x'.repeat(BLOCK))
    await put(file, 'lost', BLOCK)
    fs.failWriteBack('/a', { reported: 'next-sync' })
    const next = fs.kill()
    expect(tail(next)).toBe('lost')
    const [one, other] = [await next.open('/a', 'write'), await next.open('/a', 'write')]
    await expect(one.sync()).rejects.toMatchObject({ code: 'EIO' })
    await other.sync()
    await one.sync()
    expect(tail(next.crash({ seed: 1 }))).not.toBe('lost')
  })

  test('may have been reported to a process that is gone', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, 'x'.repeat(BLOCK))
    await put(file, 'lost', BLOCK)
    fs.failWriteBack('/a', { reported: 'nobody' })
    await file.sync()
    expect(tail(fs)).toBe('lost')
    expect(tail(fs.crash({ seed: 1 }))).not.toBe('lost')
    expect(() => fs.failWriteBack('/b', { reported: 'nobody' })).toThrow(/ENOENT/)
  })
})

describe('failNth', () => {
  test('fails the nth call that matches, once, and tells that it did', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, 'abc')
    const fault = fs.failNth(2, { filter: ({ kind }) => kind === 'write', error: 'EFBIG' })
    expect(await put(file, 'x')).toBe(1)
    await file.sync()
    expect(fault.fired).toBe(0)
    await expect(put(file, 'y')).rejects.toMatchObject({ code: 'EFBIG', errno: -27 })
    expect(await put(file, 'z', 1)).toBe(1)
    expect(fault.fired).toBe(1)
    expect(fs.contents('/a').toString()).toBe('xzc')
  })

  test('counts every kind of call when it has no filter', async () => {
    const fs = new SimulatedFileSystem()
    await durableFile(fs, 'abc')
    const calls = [
      () => fs.list('/'),
      () => fs.stat('/a'),
      () => fs.open('/a', 'read'),
      () => fs.open('/b', 'create'),
      () => fs.createDirectory('/d'),
      () => fs.rename('/a', '/c'),
      () => fs.unlink('/a'),
      () => fs.link('/a', '/c'),
      () => fs.syncDirectory('/'),
      () => fs.lock('/lock', 'me'),
      async () => fs.openSync('/a'),
    ]
    for (const call of calls) {
      fs.failNth(1, { error: 'EMFILE' })
      await expect(call()).rejects.toMatchObject({ code: 'EMFILE', errno: -24 })
    }
    expect(await fs.list('/')).toEqual(['a'])
  })

  test('goes on failing when it is sticky, until the faults are cleared', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, 'abc')
    const fault = fs.failNth(2, { filter: ({ kind }) => kind === 'write', error: 'ENOSPC', sticky: true })
    await put(file, 'x')
    for (let i = 0; i < 3; i++) await expect(put(file, 'y')).rejects.toMatchObject({ code: 'ENOSPC', errno: -28 })
    expect(fault.fired).toBe(3)
    fs.clearFaults()
    expect(await put(file, 'z')).toBe(1)
  })

  test('gives an errno without a name as Node 20 does', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, 'abc')
    fs.failNth(1, { error: -122 })
    await expect(put(file, 'x')).rejects.toMatchObject({ errno: -122, code: 'Unknown system error -122' })
  })

  test('can have done what it reports as failed', async () => {
    const fs = new SimulatedFileSystem()
    await durableFile(fs, 'abc')
    fs.failNth(1, { error: 'EIO', applied: true })
    await expect(fs.rename('/a', '/b')).rejects.toMatchObject({ code: 'EIO' })
    expect(await fs.list('/')).toEqual(['b'])
  })

  test('makes writes and reads short', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, 'abcdef')
    fs.failNth(1, { shortWrite: 2 })
    expect(await put(file, 'XYZ')).toBe(2)
    expect(fs.contents('/a').toString()).toBe('XYcdef')
    fs.failNth(1, { shortRead: 3 })
    const buffer = Buffer.alloc(6)
    expect(await file.read(buffer, 0, 6, 0)).toBe(3)
    expect(buffer.toString()).toBe('XYc\0\0\0')
    fs.failNth(1, { shortRead: 1 })
    expect(file.readSync(buffer, 0, 6, 0)).toBe(1)
  })

  test('two faults both count every call', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, 'abc')
    fs.failNth(1, { error: 'EIO' })
    fs.failNth(2, { error: 'EFBIG' })
    await expect(put(file, 'x')).rejects.toMatchObject({ code: 'EIO' })
    await expect(put(file, 'x')).rejects.toMatchObject({ code: 'EFBIG' })
    expect(await put(file, 'x')).toBe(1)
  })
})

describe('a full disk', () => {
  test('gives a short write first and then the error, until something goes', async () => {
    const fs = new SimulatedFileSystem({ capacityBytes: 3 * BLOCK })
    const other = await durableFile(fs, 'o', '/o')
    const file = await durableFile(fs, 'x'.repeat(BLOCK))
    expect(fs.usedBytes).toBe(2 * BLOCK)
    expect(await put(file, 'y'.repeat(3 * BLOCK), BLOCK - 10)).toBe(BLOCK + 10)
    await expect(put(file, 'z', 2 * BLOCK)).rejects.toMatchObject({ code: 'ENOSPC', errno: -28, syscall: 'write' })
    expect(await put(file, 'z'.repeat(10), BLOCK)).toBe(10)
    await fs.unlink('/o')
    await expect(put(file, 'z', 2 * BLOCK)).rejects.toMatchObject({ code: 'ENOSPC' })
    await other.close()
    expect(await put(file, 'z', 2 * BLOCK)).toBe(1)
    await file.truncate(BLOCK)
    expect(fs.usedBytes).toBe(BLOCK)
    fs.capacityBytes = BLOCK
    await expect(put(file, 'z', BLOCK)).rejects.toMatchObject({ code: 'ENOSPC' })
    expect((await fs.crash({ seed: 0 }).stat('/a'))?.size).toBe(BLOCK)
  })
})

describe('a disk that lies', () => {
  test('about file syncs and direct writes loses what was synced', async () => {
    const fs = new SimulatedFileSystem({ ignoreSync: true })
    await durableFile(fs, 'abc')
    const file = await fs.open('/b', 'create', { direct: true })
    await file.write(Buffer.from(new ArrayBuffer(BLOCK)), 0, BLOCK, 0)
    await fs.syncDirectory('/')
    const after = fs.crash({ seed: 0 })
    expect((await after.list('/')).sort()).toEqual(['a', 'b'])
    expect(after.contents('/a')).toHaveLength(0)
    expect(after.contents('/b')).toHaveLength(0)
    await durableFile(after, 'abc', '/c')
    expect(after.crash({ seed: 0 }).contents('/c')).toHaveLength(0)
  })

  test('about directory syncs loses names', async () => {
    const fs = new SimulatedFileSystem({ ignoreDirectorySync: true })
    await durableFile(fs, 'abc')
    expect(await fs.crash({ seed: 0 }).list('/')).toEqual([])
  })
})

describe('misuse', () => {
  test('a buffer that changes before its write has settled', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, 'abc')
    const buffer = Buffer.from('xyz')
    const write = file.write(buffer, 0, 3, 0)
    buffer[1] = 0
    await expect(write).rejects.toMatchObject({ code: 'SIM_MISUSE' })
  })

  test('two writes to the same bytes at a time', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, 'abcdef')
    const calls = [put(file, 'xy', 0), put(file, '!', 1), file.truncate(1), put(file, 'z', 2)]
    const misuse = { status: 'rejected', reason: { code: 'SIM_MISUSE' } }
    const done = { status: 'fulfilled' }
    expect(await Promise.allSettled(calls)).toMatchObject([done, misuse, misuse, done])
    expect(fs.contents('/a').toString()).toBe('xyzdef')
  })

  test('bytes that lie outside of the buffer', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, 'abc')
    await expect(file.write(Buffer.alloc(3), 1, 3, 0)).rejects.toThrow(RangeError)
    await expect(file.read(Buffer.alloc(3), 0, 4, 0)).rejects.toThrow(RangeError)
  })
})

describe('a slow disk', () => {
  test('takes effect and settles when the promise does', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, 'abc')
    let release = () => {}
    fs.slow = ({ kind }) => (kind === 'write' ? new Promise<void>(resolve => (release = resolve)) : undefined)
    const write = put(file, 'XYZ')
    expect(await fs.list('/')).toEqual(['a'])
    expect(fs.contents('/a').toString()).toBe('abc')
    release()
    expect(await write).toBe(3)
    expect(fs.contents('/a').toString()).toBe('XYZ')
  })

  test('that breaks down rejects the call and leaves nothing under way', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, 'abc')
    fs.slow = () => Promise.reject(new Error('gone'))
    await expect(put(file, 'XYZ')).rejects.toThrow('gone')
    fs.slow = undefined
    expect(fs.crash({ seed: 1 }).contents('/a').toString()).toBe('abc')
  })
})

describe('damage by hand', () => {
  test('is there for good', async () => {
    const fs = new SimulatedFileSystem()
    const file = await durableFile(fs, 'abc')
    fs.place('/a', Buffer.from('rotten'))
    fs.place('/b', Buffer.from('foreign'))
    fs.placeOther('/c')
    expect((await fs.list('/')).sort()).toEqual(['a', 'b', 'c'])
    await put(file, 'R')
    const after = fs.crash({ seed: 0 })
    expect(after.contents('/a').toString()).toBe('rotten')
    expect(after.contents('/b').toString()).toBe('foreign')
    after.remove('/a')
    expect((await after.crash({ seed: 0 }).list('/')).sort()).toEqual(['b', 'c'])
  })
})
