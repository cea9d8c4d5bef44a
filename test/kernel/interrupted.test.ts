import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { rootWith } from '../helpers/machine.js'
import { assertBuildIsFresh } from '../helpers/project.js'
import { check, Writer } from './scene.js'

describe.runIf(rootWith(['strace']))('a call that a signal interrupts', () => {
  beforeAll(assertBuildIsFresh)

  it.each(['pwrite64', 'fdatasync', 'fsync'])('%s: EINTR is no failure, it is done again', async call => {
    const directory = mkdtempSync(join(tmpdir(), 'walrus-eintr-'))
    try {
      const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:error=EINTR:when=1+3`]
      const strace = ['strace', '-f', '-qq', '-o', join(directory, 'trace'), ...inject]
      const log = join(directory, 'log')
      const writer = new Writer(log, { options: { io: 'buffered', segmentMaxBytes: 5000 }, entries: 60 }, strace)
      await writer.ended()
      expect(writer.messages.at(-1)).toEqual({ closed: true })
      expect(await check(log, 60)).toBe(60)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})
