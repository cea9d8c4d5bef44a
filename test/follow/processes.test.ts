import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { followWal, openWal, text } from '../../src/index.js'
import { rootWith } from '../helpers/machine.js'
import { runNode } from '../helpers/process.js'
import { assertBuildIsFresh, fromRoot } from '../helpers/project.js'
import { until } from '../helpers/waiting.js'

const writerFile = fromRoot('test/follow/writer.mjs')
const readerFile = fromRoot('test/follow/reader.mjs')
const wait = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

let root = ''
let log = ''
const children: ChildProcess[] = []
beforeAll(assertBuildIsFresh)
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'walrus-follow-'))
  log = join(root, 'log')
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await rm(root, { recursive: true, force: true })
})

/** Starts the writer; `onLine` gets what it prints. */
function startWriter(what: string, onLine: (line: string) => void = () => undefined) {
  const child = spawn(process.execPath, [writerFile, log, what], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  createInterface({ input: child.stdout }).on('line', onLine)
  const ended = new Promise<void>(resolve => {
    child.once('close', () => resolve())
  })
  return { child, ended }
}

async function follow() {
  for (;;) {
    try {
      return await followWal(log, { encoding: text() })
    } catch (error) {
      if ((error as { code?: string }).code !== 'WAL_NOT_FOUND') throw error
      await wait(10)
    }
  }
}

describe('a follower in another process', () => {
  it('sees entries soon after they are durable', async () => {
    const durableAt = new Map<number, number>()
    const seenAt = new Map<number, number>()
    const { ended } = startWriter('slowly', line => {
      const [index, at] = line.split(' ').map(Number)
      durableAt.set(index as number, at as number)
    })
    const follower = await follow()
    for await (const { index } of follower.tail()) {
      seenAt.set(index, Date.now())
      if (index === 120) break
    }
    await ended
    await follower.close()
    await until(() => durableAt.size === 120)
    const delays = [...durableAt].map(([index, at]) => (seenAt.get(index) as number) - at).sort((a, b) => a - b)
    const at = (part: number) => delays[Math.floor(part * (delays.length - 1))] as number
    console.log(`entries were seen ${at(0.5)} ms (median), ${at(0.9)} ms (p90), ${at(1)} ms (last) after their append`)
    expect(at(1)).toBeLessThan(10_000)
  })

  it('goes on, exact, while the writer is killed and started again', async () => {
    const acknowledged: number[] = []
    const follower = await (async () => {
      const first = startWriter('until killed', line => acknowledged.push(Number(line)))
      const opened = await follow()
      await until(() => acknowledged.length > 200)
      first.child.kill('SIGKILL')
      await first.ended
      return opened
    })()
    let next = 1
    const reading = (async () => {
      for await (const { index, data } of follower.tail()) {
        expect(index).toBe(next++)
        expect(data).toBe(`entry ${index}`)
      }
    })()
    for (let life = 0; life < 3; life++) {
      const goal = acknowledged.length + 200
      const { child, ended } = startWriter('until killed', line => acknowledged.push(Number(line)))
      await until(() => acknowledged.length > goal)
      child.kill('SIGKILL')
      await ended
    }
    // What was acknowledged last is published by the next writer at the latest.
    const last = await openWal(log, { encoding: text() })
    expect(last.lastIndex).toBeGreaterThanOrEqual(acknowledged.at(-1) as number)
    await until(() => next === last.lastIndex + 1)
    await last.close()
    await follower.close()
    await reading
  })

  it('lives as long as somebody waits for an entry, and no longer', async () => {
    const wal = await openWal(log, { encoding: text() })
    for (let i = 1; i <= 10; i++) await wal.append(`entry ${i}`)
    const reading = runNode([readerFile, log, '12'], { cwd: root, timeoutMs: 60_000 })
    await wait(1500)
    await wal.append('entry 11')
    await wal.append('entry 12')
    expect(await reading).toEqual({ ended: 0, output: 'read 12\n' })
    await wal.close()
  })
})

describe('a follower of a directory that it may not write to', () => {
  async function fill() {
    const wal = await openWal(log, { encoding: text(), rotation: { maxEntries: 4 } })
    for (let i = 1; i <= 10; i++) await wal.append(`entry ${i}`)
    await wal.close()
  }

  it('leaves every file and every name as it was', async () => {
    await fill()
    await chmod(log, 0o500)
    const look = async () => {
      const names = (await readdir(log)).sort()
      return Promise.all(
        names.map(async name => [name, (await stat(join(log, name))).mtimeMs, (await stat(join(log, name))).size]),
      )
    }
    const before = await look()
    expect(await runNode([readerFile, log, '10'], { cwd: root, timeoutMs: 60_000 })).toEqual({
      ended: 0,
      output: 'read 10\n',
    })
    expect(await look()).toEqual(before)
    await chmod(log, 0o700)
  })

  it.runIf(rootWith(['mount', 'umount']))('reads from a read-only mount', async () => {
    await fill()
    const mounted = join(root, 'read-only')
    await mkdir(mounted)
    execFileSync('mount', ['--bind', log, mounted])
    try {
      execFileSync('mount', ['-o', 'remount,bind,ro', mounted])
      await expect(openWal(mounted, { encoding: text() })).rejects.toMatchObject({ code: 'WAL_IO' })
      expect(await runNode([readerFile, mounted, '10'], { cwd: root, timeoutMs: 60_000 })).toEqual({
        ended: 0,
        output: 'read 10\n',
      })
    } finally {
      execFileSync('umount', [mounted])
    }
  })
})
