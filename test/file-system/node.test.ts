import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nodeFileSystem } from '../../src/file-system/node.js'
import { fileSystemConformance } from './conformance.js'

fileSystemConformance('nodeFileSystem', { direct: process.platform === 'linux' }, async () => {
  const directory = await mkdtemp(join(tmpdir(), 'walrus-fs-'))
  return {
    fs: nodeFileSystem,
    directory,
    placeOther: path => symlink('/etc/passwd', path),
    tearDown: () => rm(directory, { recursive: true }),
  }
})
