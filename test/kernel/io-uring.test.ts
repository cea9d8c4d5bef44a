import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, it } from 'vitest'
import { assertBuildIsFresh } from '../helpers/project.js'
import { check, Writer } from './scene.js'

// libuv can do its file calls by io_uring, past everything that looks at system calls. Off by default in Node.js 20.
describe.runIf(process.platform === 'linux')('with UV_USE_IO_URING=1', () => {
  beforeAll(assertBuildIsFresh)

  it.each([
    ['direct', { io: 'auto' }],
    ['buffered', { io: 'buffered' }],
    ['ndjson', { format: 'ndjson' }],
  ] as const)('a writer killed with SIGKILL loses nothing it was told is stored: %s', async (_, options) => {
    const directory = mkdtempSync(join(tmpdir(), 'walrus-uring-'))
    try {
      let acknowledged = 0
      for (let round = 0; round < 3; round++) {
        const settings = { options: { ...options, segmentMaxBytes: 10_000 } }
        const writer = new Writer(directory, settings, ['env', 'UV_USE_IO_URING=1'])
        const from = acknowledged
        await writer.until(() => writer.acknowledged > from + 40)
        await writer.kill()
        acknowledged = await check(directory, Math.max(acknowledged, writer.acknowledged))
      }
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})
