import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { lockOwnerText, readLockOwner } from '../../src/file-system/lock-owner.js'
import type { File, FileSystem } from '../../src/file-system/types.js'

/** A WebAssembly memory starts at a page; nothing else in Node is sure to. @types/node has no name for it. */
function alignedBuffer(): Buffer {
  type Memory = new (size: { initial: number; maximum: number }) => { buffer: ArrayBuffer }
  const { Memory } = Reflect.get(globalThis, 'WebAssembly') as { Memory: Memory }
  return Buffer.from(new Memory({ initial: 1, maximum: 1 }).buffer)
}

/** Where a file system is tried out: an empty directory of it. */
export interface Scene {
  fs: FileSystem
  directory: string
  /** Puts something that is neither file nor directory there. */
  placeOther(path: string): Promise<void>
  tearDown(): Promise<void>
}

/** The lawful differences. */
export interface Supports {
  direct: boolean
  /** Bytes on their way to and from the disk pass through memory that is aligned. */
  aligns?: boolean
}

/** What every FileSystem must do; run by each implementation's own test file. */
export function fileSystemConformance(name: string, supports: Supports, setUp: () => Promise<Scene>): void {
  describe(`${name} keeps the contract of FileSystem`, () => {
    let scene: Scene
    let fs: FileSystem
    const at = (file: string) => `${scene.directory}/${file}`
    const bytes = (text: string) => Buffer.from(text)

    beforeEach(async () => {
      scene = await setUp()
      fs = scene.fs
    })
    afterEach(() => scene.tearDown())

    async function created(file: string, text = ''): Promise<File> {
      const handle = await fs.open(at(file), 'create')
      if (text) expect(await handle.write(bytes(text), 0, text.length, 0)).toBe(text.length)
      return handle
    }

    async function textOf(file: File): Promise<string> {
      const buffer = Buffer.alloc(100)
      return buffer.toString('utf8', 0, await file.read(buffer, 0, 100, 0))
    }

    async function textAt(path: string): Promise<string> {
      const file = await fs.open(path, 'read')
      const text = await textOf(file)
      await file.close()
      return text
    }

    test('what was written is read back, from any place into any place', async () => {
      const file = await created('a', 'hello world')
      const buffer = Buffer.from('..........')
      expect(await file.read(buffer, 2, 5, 6)).toBe(5)
      expect(buffer.toString()).toBe('..world...')
      expect(await file.write(bytes('xxEARTHxx'), 2, 5, 6)).toBe(5)
      await file.sync()
      expect(await textOf(file)).toBe('hello EARTH')
      expect(await file.size()).toBe(11)
      await file.close()
    })

    test('reading stops at the end of the file', async () => {
      const file = await created('a', 'abc')
      const buffer = Buffer.alloc(10)
      expect(await file.read(buffer, 0, 10, 1)).toBe(2)
      expect(await file.read(buffer, 0, 10, 3)).toBe(0)
      expect(await file.read(buffer, 0, 10, 1000)).toBe(0)
      await file.close()
    })

    test('several buffers are written one behind the other', async () => {
      const file = await created('a', '0123456789')
      expect(await file.writev?.([bytes('ab'), bytes(''), bytes('cde')], 3)).toBe(5)
      expect(await textOf(file)).toBe('012abcde89')
      await file.close()
      await expect(file.writev?.([bytes('x')], 0)).rejects.toMatchObject({ code: 'EBADF' })
    })

    test('a write of nothing changes nothing', async () => {
      const file = await created('a')
      expect(await file.write(bytes(''), 0, 0, 100)).toBe(0)
      expect(await file.size()).toBe(0)
      await file.close()
    })

    test('a hole reads as zeros', async () => {
      const file = await created('a', 'abc')
      await file.write(bytes('z'), 0, 1, 10_000)
      expect(await file.size()).toBe(10_001)
      const buffer = Buffer.alloc(10_001, 1)
      expect(await file.read(buffer, 0, 10_001, 0)).toBe(10_001)
      expect(buffer.subarray(3, 10_000).every(byte => byte === 0)).toBe(true)
      expect(buffer[10_000]).toBe(0x7a)
      await file.close()
    })

    test('truncate shortens, and lengthens with zeros', async () => {
      const file = await created('a', 'abcdef')
      await file.truncate(2)
      expect(await textOf(file)).toBe('ab')
      await file.truncate(4)
      expect(await textOf(file)).toBe('ab\0\0')
      await file.close()
    })

    test('openSync and readSync read what the asynchronous calls wrote', async () => {
      const file = await created('a', 'abc')
      const reader = fs.openSync(at('a'))
      const buffer = Buffer.alloc(3)
      expect(reader.readSync(buffer, 0, 3, 0)).toBe(3)
      expect(buffer.toString()).toBe('abc')
      expect(file.readSync(buffer, 0, 2, 1)).toBe(2)
      expect(buffer.toString()).toBe('bcc')
      await reader.close()
      await file.close()
      expect(() => fs.openSync(at('missing'))).toThrow(expect.objectContaining({ code: 'ENOENT' }))
      expect(() => fs.openSync(scene.directory)).toThrow(expect.objectContaining({ code: 'EISDIR' }))
    })

    test('create wants a new name, read and write an existing one', async () => {
      await (await created('a', 'old')).close()
      await expect(fs.open(at('a'), 'create')).rejects.toMatchObject({ code: 'EEXIST', errno: -17 })
      await expect(fs.open(at('b'), 'read')).rejects.toMatchObject({ code: 'ENOENT', errno: -2 })
      await expect(fs.open(at('b'), 'write')).rejects.toMatchObject({ code: 'ENOENT' })
      await expect(fs.open(at('no/b'), 'create')).rejects.toMatchObject({ code: 'ENOENT' })
      await expect(fs.open(at('a/b'), 'create')).rejects.toMatchObject({ code: 'ENOTDIR' })
      const file = await fs.open(at('a'), 'write')
      await file.write(bytes('new'), 0, 3, 0)
      expect(file.path).toBe(at('a'))
      await file.close()
      expect(await textAt(at('a'))).toBe('new')
    })

    test('a file opened to read cannot be written', async () => {
      await (await created('a', 'abc')).close()
      const file = await fs.open(at('a'), 'read')
      await expect(file.write(bytes('x'), 0, 1, 0)).rejects.toMatchObject({ code: 'EBADF' })
      await expect(file.truncate(0)).rejects.toMatchObject({ code: 'EINVAL' })
      await file.close()
      expect(await textAt(at('a'))).toBe('abc')
    })

    test('nothing but a regular file is opened', async () => {
      await scene.placeOther(at('link'))
      await expect(fs.open(at('link'), 'read')).rejects.toMatchObject({ code: 'ELOOP' })
      await expect(fs.open(at('link'), 'write')).rejects.toMatchObject({ code: 'ELOOP' })
      await expect(fs.open(at('link'), 'create')).rejects.toMatchObject({ code: 'EEXIST' })
      await expect(fs.open(scene.directory, 'read')).rejects.toMatchObject({ code: 'EISDIR' })
      await expect(fs.open(scene.directory, 'write')).rejects.toMatchObject({ code: 'EISDIR' })
    })

    test('stat tells kind and size, and follows nothing', async () => {
      await (await created('a', 'abc')).close()
      await scene.placeOther(at('link'))
      expect(await fs.stat(at('a'))).toEqual({ kind: 'file', size: 3 })
      expect(await fs.stat(scene.directory)).toMatchObject({ kind: 'directory' })
      expect(await fs.stat(at('link'))).toMatchObject({ kind: 'other' })
      expect(await fs.stat(at('b'))).toBeUndefined()
      expect(await fs.stat(at('no/b'))).toBeUndefined()
      await expect(fs.stat(at('a/b'))).rejects.toMatchObject({ code: 'ENOTDIR' })
    })

    test('directories are created and listed', async () => {
      await fs.createDirectory(at('d'))
      await (await created('d/b[1]')).close()
      await (await created('a')).close()
      expect((await fs.list(scene.directory)).sort()).toEqual(['a', 'd'])
      expect(await fs.list(at('d'))).toEqual(['b[1]'])
      await expect(fs.createDirectory(at('d'))).rejects.toMatchObject({ code: 'EEXIST' })
      await expect(fs.createDirectory(at('no/d'))).rejects.toMatchObject({ code: 'ENOENT' })
      await expect(fs.list(at('no'))).rejects.toMatchObject({ code: 'ENOENT' })
      await expect(fs.list(at('a'))).rejects.toMatchObject({ code: 'ENOTDIR' })
    })

    test('rename moves and replaces; an open file follows', async () => {
      const file = await created('a', 'new')
      await (await created('b', 'old')).close()
      await fs.rename(at('a'), at('b'))
      expect(await fs.list(scene.directory)).toEqual(['b'])
      await file.write(bytes('!'), 0, 1, 3)
      await file.close()
      expect(await textAt(at('b'))).toBe('new!')
      await expect(fs.rename(at('a'), at('c'))).rejects.toMatchObject({ code: 'ENOENT' })
    })

    test('a directory is renamed with what is in it', async () => {
      await fs.createDirectory(at('d.tmp'))
      await (await created('d.tmp/a', 'abc')).close()
      await fs.rename(at('d.tmp'), at('d'))
      expect(await textAt(at('d/a'))).toBe('abc')
      await (await created('f')).close()
      await expect(fs.rename(at('f'), at('d'))).rejects.toMatchObject({ code: 'EISDIR' })
      await fs.createDirectory(at('e'))
      await expect(fs.rename(at('e'), at('d'))).rejects.toMatchObject({ code: 'ENOTEMPTY' })
      await expect(fs.rename(at('e'), at('f'))).rejects.toMatchObject({ code: 'ENOTDIR' })
    })

    test('an unlinked file stays readable while it is open', async () => {
      const file = await created('a', 'abc')
      await fs.unlink(at('a'))
      expect(await fs.stat(at('a'))).toBeUndefined()
      await fs.syncDirectory(scene.directory)
      expect(await textOf(file)).toBe('abc')
      await file.write(bytes('d'), 0, 1, 3)
      await file.sync()
      expect(await textOf(file)).toBe('abcd')
      await file.close()
      await expect(fs.unlink(at('a'))).rejects.toMatchObject({ code: 'ENOENT' })
    })

    test('a hard link is the same file', async () => {
      const file = await created('a', 'abc')
      await fs.link(at('a'), at('b'))
      await file.write(bytes('X'), 0, 1, 0)
      await file.close()
      await fs.rename(at('a'), at('b'))
      expect((await fs.list(scene.directory)).sort()).toEqual(['a', 'b'])
      await fs.unlink(at('a'))
      expect(await textAt(at('b'))).toBe('Xbc')
      await expect(fs.link(at('b'), at('b'))).rejects.toMatchObject({ code: 'EEXIST' })
      await expect(fs.link(at('a'), at('c'))).rejects.toMatchObject({ code: 'ENOENT' })
    })

    test('syncDirectory wants a directory', async () => {
      await (await created('a')).close()
      await fs.syncDirectory(scene.directory)
      await expect(fs.syncDirectory(at('no'))).rejects.toMatchObject({ code: 'ENOENT' })
      await expect(fs.syncDirectory(at('a'))).rejects.toMatchObject({ code: 'ENOTDIR' })
    })

    test('close waits for the calls under way, and nothing reaches the file afterwards', async () => {
      const file = await created('a')
      const order: string[] = []
      const write = file.write(bytes('abc'), 0, 3, 0).then(() => order.push('write'))
      const sync = file.sync().then(() => order.push('sync'))
      const close = file.close().then(() => order.push('close'))
      const buffer = Buffer.alloc(3)
      // Refused already while the closing waits.
      await expect(file.write(bytes('XYZ'), 0, 3, 0)).rejects.toMatchObject({ code: 'EBADF', errno: -9 })
      await Promise.all([write, sync, close])
      expect(order.at(-1)).toBe('close')
      const successor = await created('b', 'mine')
      await expect(file.write(bytes('XYZ'), 0, 3, 0)).rejects.toMatchObject({ code: 'EBADF' })
      await expect(file.read(buffer, 0, 3, 0)).rejects.toMatchObject({ code: 'EBADF' })
      await expect(file.sync()).rejects.toMatchObject({ code: 'EBADF' })
      await expect(file.truncate(0)).rejects.toMatchObject({ code: 'EBADF' })
      await expect(file.size()).rejects.toMatchObject({ code: 'EBADF' })
      expect(() => file.readSync(buffer, 0, 3, 0)).toThrow(expect.objectContaining({ code: 'EBADF' }))
      expect(await textOf(successor)).toBe('mine')
      expect(await textAt(at('a'))).toBe('abc')
      await successor.close()
    })

    test('closing twice is closing once', async () => {
      const file = await created('a')
      await Promise.all([file.close(), file.close()])
      await file.close()
    })

    test('an error names the file', async () => {
      const file = await created('a')
      await file.close()
      await expect(file.sync()).rejects.toMatchObject({ path: at('a') })
      await expect(fs.open(at('b'), 'read')).rejects.toMatchObject({ path: at('b') })
    })

    test('one holder at a time has the lock, and its owner can be read', async () => {
      const owner = { pid: 1234, host: 'here', startedAt: 5.5 }
      const lock = await fs.lock(at('lock'), lockOwnerText(owner))
      expect(lock).toBeDefined()
      expect(await fs.lock(at('lock'), 'me too')).toBeUndefined()
      expect(await readLockOwner(fs, at('lock'))).toEqual(owner)
      await lock?.release()
      await lock?.release()
      const next = await fs.lock(at('lock'), '{}')
      expect(next).toBeDefined()
      expect(await textAt(at('lock'))).toBe('{}')
      await next?.release()
      expect(await textAt(at('lock'))).toBe('')
    })

    test('of many who want the lock at once one gets it', async () => {
      const locks = await Promise.all(Array.from({ length: 8 }, () => fs.lock(at('lock'), 'x')))
      const held = locks.filter(lock => lock !== undefined)
      expect(held).toHaveLength(1)
      await held[0]?.release()
    })

    test('the lock is not put on what is not a file', async () => {
      await scene.placeOther(at('lock'))
      await expect(fs.lock(at('lock'), 'x')).rejects.toMatchObject({ code: 'ELOOP' })
    })

    test('the text of a lock nobody finished writing is no owner', async () => {
      for (const text of ['', '{"pid":1', '[]', 'null', '{"pid":"1","host":"h","startedAt":1}']) {
        const file = await created('lock', text)
        expect(await readLockOwner(fs, at('lock'))).toBeUndefined()
        await file.close()
        await fs.unlink(at('lock'))
      }
      expect(await readLockOwner(fs, at('lock'))).toBeUndefined()
    })

    describe.runIf(supports.direct)('direct I/O', () => {
      test('writes and reads whole blocks', async () => {
        const file = await fs.open(at('a'), 'create', { direct: true })
        const block = alignedBuffer().fill('w', 0, 8192)
        expect(await file.write(block, 0, 8192, 4096)).toBe(8192)
        expect(await file.size()).toBe(12_288)
        await file.close()
        const reader = await fs.open(at('a'), 'read', { direct: true })
        const read = alignedBuffer()
        expect(await reader.read(read, 4096, 4096, 8192)).toBe(4096)
        expect(read.subarray(4096, 8192).equals(block.subarray(0, 4096))).toBe(true)
        await reader.close()
      })

      test('writes whole blocks from several buffers', async () => {
        const file = await fs.open(at('a'), 'create', { direct: true })
        const memory = alignedBuffer()
        memory.fill(1, 0, 4096).fill(2, 4096, 12288)
        expect(await file.writev?.([memory.subarray(4096, 12288), memory.subarray(0, 4096)], 0)).toBe(12288)
        await expect(file.writev?.([memory.subarray(0, 4096), memory.subarray(4096, 5000)], 0)).rejects.toMatchObject({
          code: 'EINVAL',
        })
        await file.close()
        const reader = await fs.open(at('a'), 'read')
        const found = Buffer.alloc(12288)
        expect(await reader.read(found, 0, 12288, 0)).toBe(12288)
        expect(found.equals(Buffer.concat([Buffer.alloc(8192, 2), Buffer.alloc(4096, 1)]))).toBe(true)
        await reader.close()
      })

      test('what is not aligned is EINVAL', async () => {
        const file = await fs.open(at('a'), 'create', { direct: true })
        const block = alignedBuffer()
        await expect(file.write(block, 0, 100, 0)).rejects.toMatchObject({ code: 'EINVAL', errno: -22 })
        await expect(file.write(block, 0, 4096, 100)).rejects.toMatchObject({ code: 'EINVAL' })
        const unaligned = file.write(block, 100, 4096, 0)
        if (supports.aligns) expect(await unaligned).toBe(4096)
        else await expect(unaligned).rejects.toMatchObject({ code: 'EINVAL' })
        expect(await file.size()).toBe(supports.aligns ? 4096 : 0)
        await file.close()
      })
    })
  })
}
