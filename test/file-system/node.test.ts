import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { nodeFileSystem as fs } from '../../src/file-system/node.js'
import { rootWith } from '../helpers/machine.js'
import { fileSystemConformance } from './conformance.js'

const isLinux = process.platform === 'linux'
const isWindows = process.platform === 'win32'

function emptyDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'walrus-fs-'))
}

fileSystemConformance('nodeFileSystem', { direct: isLinux }, async () => {
  const directory = emptyDirectory()
  return {
    fs,
    directory,
    placeOther: async path => symlinkSync('/etc/passwd', path),
    tearDown: async () => rmSync(directory, { recursive: true }),
  }
})

describe('nodeFileSystem', () => {
  let directory: string
  const at = (name: string) => join(directory, name)

  beforeEach(() => {
    directory = emptyDirectory()
  })
  afterEach(() => rmSync(directory, { recursive: true }))

  function run(command: string, ...args: string[]): void {
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
    expect(stderr).toBe('')
    expect(status).toBe(0)
  }

  test.skipIf(isWindows)('keeps what it creates to its user, whatever the umask', async () => {
    const umask = process.umask(0)
    try {
      await (await fs.open(at('file'), 'create')).close()
      await fs.createDirectory(at('directory'))
      await (await fs.lock(at('lock'), 'me'))?.release()
    } finally {
      process.umask(umask)
    }
    expect(statSync(at('file')).mode & 0o777).toBe(0o600)
    expect(statSync(at('directory')).mode & 0o777).toBe(0o700)
    expect(statSync(at('lock')).mode & 0o777).toBe(0o600)
  })

  test('does not create through a link that points nowhere', async () => {
    symlinkSync(at('target'), at('link'))
    await expect(fs.open(at('link'), 'create')).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(fs.lock(at('link'), 'me')).rejects.toMatchObject({ code: 'ELOOP' })
    expect(await fs.list(directory)).toEqual(['link'])
  })

  test.skipIf(isWindows)('neither opens a pipe, a socket or a device, nor waits for one', async () => {
    run('mkfifo', at('pipe'))
    const server = createServer().listen(at('socket'))
    try {
      for (const mode of ['read', 'write'] as const) {
        await expect(fs.open(at('pipe'), mode)).rejects.toMatchObject({ code: 'EINVAL' })
        await expect(fs.open('/dev/null', mode)).rejects.toMatchObject({ code: 'EINVAL' })
        await expect(fs.open(at('socket'), mode)).rejects.toMatchObject({ code: 'ENXIO' })
      }
      expect(() => fs.openSync(at('pipe'))).toThrow(expect.objectContaining({ code: 'EINVAL' }))
      expect(await fs.stat(at('pipe'))).toMatchObject({ kind: 'other' })
      if (isLinux) await expect(fs.lock(at('pipe'), 'me')).rejects.toMatchObject({ code: 'WAL_IO' })
    } finally {
      server.close()
    }
  })

  test.runIf(isLinux)('leaves no descriptor open, refused or used', async () => {
    run('mkfifo', at('pipe'))
    const before = (await fs.list('/proc/self/fd')).length
    for (let i = 0; i < 20; i++) {
      await expect(fs.open(at('pipe'), 'read')).rejects.toThrow()
      await expect(fs.open(directory, 'read')).rejects.toThrow()
      expect(() => fs.openSync(directory)).toThrow()
      await fs.syncDirectory(directory)
      const file = await fs.open(at(`${i}`), 'create')
      await Promise.all([file.write(Buffer.from('x'), 0, 1, 0), file.sync(), file.close()])
    }
    expect((await fs.list('/proc/self/fd')).length).toBe(before)
  })

  test.runIf(isLinux)('says so where syncing is not supported', async () => {
    await expect(fs.syncDirectory('/proc')).rejects.toMatchObject({ code: 'EINVAL' })
    const file = await fs.open('/proc/self/status', 'read')
    await expect(file.sync()).rejects.toMatchObject({ code: 'EINVAL', path: '/proc/self/status' })
    await file.close()
  })

  test('a call with wrong arguments rejects and does not keep the file from closing', async () => {
    const file = await fs.open(at('file'), 'create')
    await expect(file.write(Buffer.alloc(3), 2, 5, 0)).rejects.toThrow(RangeError)
    await expect(file.read(Buffer.alloc(3), 2, 5, 0)).rejects.toThrow(RangeError)
    await file.close()
  })

  test.runIf(isLinux && rootWith(['mount', 'umount']))('without direct I/O says so and leaves no file', async () => {
    run('mount', '-t', 'ramfs', 'ramfs', directory)
    try {
      await expect(fs.open(at('file'), 'create', { direct: true })).rejects.toMatchObject({ code: 'EINVAL' })
      expect(await fs.list(directory)).toEqual([])
      await (await fs.open(at('file'), 'create')).close()
      await expect(fs.open(at('file'), 'write', { direct: true })).rejects.toMatchObject({ code: 'EINVAL' })
      await expect(fs.open(at('file'), 'create', { direct: true })).rejects.toMatchObject({ code: 'EEXIST' })
      expect(await fs.list(directory)).toEqual(['file'])
    } finally {
      run('umount', directory)
    }
  })
})
