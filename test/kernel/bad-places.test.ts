import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openWal } from '../../src/index.js'
import { rootWith } from '../helpers/machine.js'
import { Mount, Writer } from './scene.js'

const canMount = rootWith(['mount'])
const canBecomeNobody = rootWith([])
if (!canMount || !canBecomeNobody)
  console.log('Read-only mounts and other users are left out: they need root and mount.')

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'walrus-places-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe('a place where no log can be', () => {
  it('a file is not a directory', async () => {
    const path = join(directory, 'file')
    writeFileSync(path, 'somebody else’s')
    await expect(openWal(path)).rejects.toMatchObject({
      code: 'WAL_IO',
      message: expect.stringContaining('not a directory'),
    })
    await expect(openWal(join(path, 'below'))).rejects.toMatchObject({ code: 'WAL_IO' })
  })

  it.runIf(canBecomeNobody)('a directory of somebody else, for a user without permission', async () => {
    const path = join(directory, 'private')
    mkdirSync(path, { mode: 0o700 })
    chmodSync(directory, 0o755)
    const library = JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)
    const program = `import(${library}).then(({ openWal }) => {
      process.setgroups([])
      process.setgid(65534)
      process.setuid(65534)
      return openWal(process.argv[1])
    }).catch(error => console.log(error.code, error.cause.code))`
    const output = execFileSync(process.execPath, ['-e', program, path]).toString()
    expect(output.trim()).toBe('WAL_IO EACCES')
  })

  it.runIf(canMount)('a file system mounted read-only', async () => {
    const disk = Mount.memory('2m')
    try {
      const log = `${disk.path}/log`
      const writer = new Writer(log, { entries: 3 })
      await writer.ended()
      execFileSync('mount', ['-o', 'remount,ro', disk.path])
      await expect(openWal(log)).rejects.toMatchObject({ code: 'WAL_IO', cause: { code: 'EROFS' } })
      await expect(openWal(`${disk.path}/other`)).rejects.toMatchObject({ code: 'WAL_IO', cause: { code: 'EROFS' } })
    } finally {
      await disk.remove()
    }
  })
})
