import { mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type BlockFeatures, sealBlock } from '../../src/codec/block.js'
import { inspectWal, openWal, verifyWal } from '../../src/index.js'
import { directory } from '../helpers/small-log.js'
import { closedImage, type Files, filesIn, restore, withFile } from './image.js'

const BLOCK_BYTES = 4096
const MAGIC_BYTES = 8

/** The files with every block of one of them sealed again, as a later version would. */
function resealed(files: Files, path: string, blocks: number, features: BlockFeatures): Files {
  const bytes = Buffer.from(files.get(path)!)
  for (let i = 0; i < blocks; i++) {
    const block = bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES)
    sealBlock(block, block.toString('latin1', 0, MAGIC_BYTES), features)
  }
  return withFile(files, path, bytes)
}

const withoutLock = (files: Files) => withFile(files, `${directory}/lock`, undefined)

describe('what a later version wrote', () => {
  it('is refused with WAL_UNSUPPORTED_VERSION by all who read it, and nothing is touched', async () => {
    const image = await closedImage()
    for (const features of [{ version: 2 }, { incompatible: 1 }, { incompatible: 0x8000_0000 }])
      for (const [path, blocks] of [
        [image.segments[0]!, 1],
        [image.segments[2]!, 1],
        [`${directory}/manifest`, 2],
      ] as const) {
        // A leftover that an opening which understands everything would remove.
        const files = withFile(resealed(image.files, path, blocks, features), `${directory}/next.tmp`, Buffer.alloc(10))
        const fs = await restore(files)
        const code = 'WAL_UNSUPPORTED_VERSION'
        await expect(openWal(directory, { fileSystem: fs })).rejects.toMatchObject({ code })
        await expect(verifyWal(directory, { fileSystem: fs })).rejects.toMatchObject({ code })
        await expect(inspectWal(directory, { fileSystem: fs })).rejects.toMatchObject({ code })
        expect(withoutLock(await filesIn(fs))).toEqual(withoutLock(files))
      }
  })

  it('is read when all it has is a compatible feature', async () => {
    const image = await closedImage()
    const fs = await restore(resealed(image.files, image.segments[1]!, 1, { compatible: 4 }))
    const wal = await openWal(directory, { fileSystem: fs })
    expect(wal.lastIndex).toBe(image.entries.length)
    await wal.close()
  })

  it('is damage when its checksum does not fit', async () => {
    const image = await closedImage()
    for (const path of [image.segments[0]!, image.segments[2]!]) {
      const bytes = Buffer.from(image.files.get(path)!)
      bytes.writeUInt32LE(2, MAGIC_BYTES)
      const fs = await restore(withFile(image.files, path, bytes))
      await expect(openWal(directory, { fileSystem: fs })).rejects.toMatchObject({ code: 'WAL_CORRUPT' })
    }
  })
})

describe('a symbolic link under a name of the log', () => {
  it('is never followed', async () => {
    const root = await mkdtemp(join(tmpdir(), 'walrus-links-'))
    try {
      for (const name of ['manifest', 'mark', '0000000000000001-0000000000000001.wal', 'lock']) {
        const path = join(root, name)
        const wal = await openWal(path)
        await wal.append('one')
        await wal.close()
        const target = join(root, `${name}.elsewhere`)
        await rename(join(path, name), target)
        const before = await readFile(target)
        await symlink(target, join(path, name))
        const outcome = await openWal(path).then(
          opened => opened.close().then(() => 'opened'),
          error => error.code,
        )
        expect([name, outcome]).toEqual([name, 'WAL_IO'])
        expect(await readFile(target)).toEqual(before)
      }
      await writeFile(join(root, 'file'), '')
      await expect(openWal(join(root, 'file'))).rejects.toMatchObject({ code: 'WAL_IO' })
    } finally {
      await rm(root, { recursive: true })
    }
  })
})
