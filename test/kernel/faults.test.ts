import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { rootWith } from '../helpers/machine.js'
import { check, Mount, Writer } from './scene.js'

const canMount = rootWith(['mount'])
const canLimit = rootWith(['prlimit'])
const canTrace = rootWith(['strace'])
if (!canMount || !canLimit || !canTrace)
  console.log('Real faults are left out where root, mount, prlimit or strace is missing.')

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'walrus-faults-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const hows = [
  ['', false],
  [', written by a thread', true],
] as const

describe.runIf(canMount).each(hows)('a disk that is full%s', (_how, writerThread) => {
  it('pauses the log, and the same entries are written once there is space', async () => {
    const disk = Mount.memory('600k')
    try {
      const filler = `${disk.path}/filler`
      writeFileSync(filler, Buffer.alloc(250_000))
      const log = `${disk.path}/log`
      const writer = new Writer(log, { options: { writerThread }, concurrency: 4, bytes: 1000 })
      await writer.until(() => writer.find('paused') !== undefined)
      expect(writer.find('paused')).toMatchObject({ code: 'WAL_NO_SPACE', cause: 'ENOSPC' })
      const held = writer.acknowledged
      writer.signal('SIGUSR2')
      await writer.until(() => writer.find('resume') !== undefined)
      expect(writer.find('resume')).toMatchObject({ code: 'WAL_NO_SPACE' })
      unlinkSync(filler)
      writer.signal('SIGUSR2')
      await writer.until(() => writer.find('resumed') === true && writer.acknowledged > held + 10)
      await writer.kill()
      unlinkSync(`${log}/mark`) // Room for the next opening, which has a segment to publish.
      expect(await check(log, writer.acknowledged, 1000)).toBeGreaterThanOrEqual(writer.acknowledged)
    } finally {
      await disk.remove()
    }
  })
})

describe.runIf(canLimit).each(hows)('limits of a process%s', (_how, writerThread) => {
  it('a file that may grow no further is followed by the next one', async () => {
    const settings = { options: { writerThread }, entries: 400, bytes: 500 }
    const writer = new Writer(directory, settings, ['prlimit', '--fsize=30000'])
    await writer.ended()
    expect(writer.messages.at(-1)).toEqual({ closed: true })
    expect(writer.find('segments')).toBeGreaterThan(1)
    expect(await check(directory, 400, 500)).toBe(400)
  })

  it('without descriptors for the next segment the log goes on in the old one', async () => {
    const settings = { options: { segmentMaxBytes: 5000, writerThread }, entries: 400, bytes: 500, hoard: true }
    const writer = new Writer(directory, settings, ['prlimit', '--nofile=100'])
    await writer.ended()
    expect(writer.messages.at(-1)).toEqual({ closed: true })
    expect(writer.find('segments')).toBe(1)
    expect(await check(directory, 400, 500)).toBe(400)
  })
})

describe.runIf(canTrace)('a call that fails', () => {
  const inject = (what: string) => [
    'strace',
    '-f',
    '-qq',
    '-o',
    '/dev/null',
    '-e',
    `trace=${what.split(':')[0]}`,
    '-e',
    `inject=${what}`,
  ]

  it.each([
    ['fdatasync:error=EIO:when=9', 'buffered', 'pool'],
    ['pwrite64:error=EIO:when=9', 'buffered', 'pool'],
    ['pwrite64:error=EIO:when=9', 'direct', 'pool'],
    ['fdatasync:error=ENOSPC:when=9', 'buffered', 'pool'],
    ['fdatasync:error=EIO:when=9', 'buffered', 'thread'],
    ['pwrite64:error=EIO:when=9', 'direct', 'thread'],
  ] as const)(
    '%s with io %s by the %s: the log fails, and comes back with all it acknowledged',
    async (what, io, by) => {
      const options = { io, writerThread: by === 'thread' }
      const writer = new Writer(directory, { options, concurrency: 2, entries: 500 }, inject(what))
      await writer.ended()
      expect(writer.find('failed')).toMatchObject({ code: 'WAL_FAILED', cause: /error=(\w+)/.exec(what)![1] })
      expect(await check(directory, writer.acknowledged)).toBeGreaterThanOrEqual(writer.acknowledged)
    },
  )

  it('a directory that cannot be synced fails the opening, loudly', async () => {
    const writer = new Writer(directory, { entries: 5 }, inject('fsync:error=EINVAL:when=1+'))
    await writer.ended()
    expect(writer.find('failed')).toMatchObject({ code: 'WAL_IO', cause: 'EINVAL' })
  })
})
