import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readLockOwner } from '../../src/file-system/lock-owner.js'
import { nodeFileSystem as fs } from '../../src/file-system/node.js'
import { rootWith } from '../helpers/machine.js'
import { assertBuildIsFresh, fromRoot } from '../helpers/project.js'

assertBuildIsFresh()

const HOLDER = fromRoot('test/file-system/lock-holder.mjs')
const isLinux = process.platform === 'linux'

let directory: string
let path: string
let children: ChildProcess[]

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'walrus-lock-'))
  path = join(directory, 'lock')
  children = []
})
afterEach(async () => {
  for (const child of children) await ended(child, 'SIGKILL')
  rmSync(directory, { recursive: true })
})

/** Starts a process that wants the lock, through another command if one is given; answers with what it says first. */
async function contend(
  options: { prefix?: string[]; env?: NodeJS.ProcessEnv; try?: boolean } = {},
): Promise<{ child: ChildProcess; said: string }> {
  const command = [...(options.prefix ?? []), process.execPath, HOLDER, path, ...(options.try ? ['try'] : [])]
  const child = spawn(command[0] as string, command.slice(1), {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: options.env ?? process.env,
  })
  children.push(child)
  const [said] = (await once(createInterface(child.stdout), 'line')) as [string]
  return { child, said }
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill(signal)
  await exit
}

/** A directory to be the PATH, holding links to the named tools. */
function pathWith(...tools: { name: string; target: string }[]): string {
  const bin = join(directory, `bin-${tools.map(tool => tool.name).join('-')}`)
  mkdirSync(bin)
  for (const { name, target } of tools) symlinkSync(target, join(bin, name))
  return bin
}

function locate(tool: string): { name: string; target: string } {
  const directories = (process.env['PATH'] ?? '').split(delimiter)
  const target = directories.map(entry => join(entry, tool)).find(existsSync)
  if (!target) throw new Error(`these tests need ${tool}`)
  return { name: tool, target }
}

describe('the lock between processes', () => {
  test('refuses at once while another process has it, whose name can be read', async () => {
    const { child, said } = await contend()
    expect(said).toBe('held')
    const start = performance.now()
    expect(await fs.lock(path, 'me')).toBeUndefined()
    expect(performance.now() - start).toBeLessThan(2000)
    expect(await readLockOwner(fs, path)).toMatchObject({ pid: child.pid })
  })

  test('is free once its holder was killed', async () => {
    for (let round = 0; round < 5; round++) {
      const { child, said } = await contend()
      expect(said).toBe('held')
      await ended(child, 'SIGKILL')
      const lock = await fs.lock(path, 'me')
      expect(lock).toBeDefined()
      await lock?.release()
    }
  })

  test('is free once its holder has ended without giving it back', async () => {
    const { child, said } = await contend({ try: true })
    expect(said).toBe('held')
    if (child.exitCode === null) await once(child, 'exit')
    expect((await contend({ try: true })).said).toBe('held')
  })

  test('is held by a holder that is stopped', async () => {
    const { child } = await contend()
    child.kill('SIGSTOP')
    expect(await fs.lock(path, 'me')).toBeUndefined()
    child.kill('SIGCONT')
    expect(await fs.lock(path, 'me')).toBeUndefined()
  })

  test('goes to one of many that start together', async () => {
    for (let round = 0; round < 3; round++) {
      const contenders = await Promise.all(Array.from({ length: 6 }, () => contend()))
      expect(contenders.map(({ said }) => said).sort()).toEqual(['held', ...Array(5).fill('refused')])
      for (const { child } of contenders) await ended(child, 'SIGKILL')
    }
  })

  test('is given back in a process that lives on', async () => {
    const lock = await fs.lock(path, 'me')
    expect((await contend({ try: true })).said).toBe('refused')
    await lock?.release()
    expect((await contend({ try: true })).said).toBe('held')
  })

  test('is not inherited by other children of the holder', async () => {
    const lock = await fs.lock(path, 'me')
    const bystander = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
    children.push(bystander)
    await once(bystander, 'spawn')
    await lock?.release()
    expect((await contend({ try: true })).said).toBe('held')
  })

  describe.runIf(rootWith(['unshare']))('from another PID namespace', () => {
    const elsewhere = ['unshare', '--fork', '--pid', '--mount-proc', '--kill-child']

    test('is refused too, in either direction', async () => {
      const { child, said } = await contend()
      expect(said).toBe('held')
      expect((await contend({ prefix: elsewhere, try: true })).said).toBe('refused')
      await ended(child, 'SIGKILL')
      const inside = await contend({ prefix: elsewhere })
      expect(inside.said).toBe('held')
      expect(await fs.lock(path, 'me')).toBeUndefined()
      expect((await contend({ prefix: elsewhere, try: true })).said).toBe('refused')
    })
  })
})

describe('the lock within one process', () => {
  test('is refused a second time, also through a symbolic link to the directory', async () => {
    const link = `${directory}-link`
    symlinkSync(directory, link)
    try {
      const lock = await fs.lock(path, 'me')
      expect(await fs.lock(path, 'me')).toBeUndefined()
      expect(await fs.lock(join(link, 'lock'), 'me')).toBeUndefined()
      await lock?.release()
      const next = await fs.lock(join(link, 'lock'), 'me')
      expect(next).toBeDefined()
      expect(await fs.lock(path, 'me')).toBeUndefined()
      await next?.release()
    } finally {
      rmSync(link)
    }
  })

  test.runIf(isLinux)('leaves no descriptor behind, whoever gets it', async () => {
    const before = await fs.list('/proc/self/fd')
    const lock = await fs.lock(path, 'me')
    for (let i = 0; i < 5; i++) expect(await fs.lock(path, 'me')).toBeUndefined()
    await lock?.release()
    // The runtime closes what it used to start `flock` a turn or more later, and may have closed files of its own meanwhile.
    await expect.poll(async () => (await fs.list('/proc/self/fd')).length).toBeLessThanOrEqual(before.length)
  })

  test('a link in the place of the lock is refused, and what it points to left alone', async () => {
    const victim = join(directory, 'victim')
    writeFileSync(victim, 'precious')
    symlinkSync(victim, path)
    await expect(fs.lock(path, 'me')).rejects.toMatchObject({ code: 'ELOOP' })
    expect(await fs.stat(victim)).toEqual({ kind: 'file', size: 8 })
  })
})

describe.runIf(isLinux)('where commands are missing', () => {
  const withPath = (path: string) => ({ env: { ...process.env, PATH: path }, try: true })

  test('perl stands in for flock, and both keep the same lock', async () => {
    const perlOnly = withPath(pathWith(locate('perl')))
    const { child, said } = await contend()
    expect(said).toBe('held')
    expect((await contend(perlOnly)).said).toBe('refused')
    await ended(child, 'SIGKILL')
    const holder = await contend({ ...perlOnly, try: false })
    expect(holder.said).toBe('held')
    expect(await fs.lock(path, 'me')).toBeUndefined()
  })

  test('without either the option `lock` is named', async () => {
    const { said } = await contend(withPath(pathWith()))
    expect(said).toMatch(
      /^WAL_IO: Cannot take the kernel's lock on '.*lock': neither flock .* nor perl .* option 'lock'/,
    )
  })

  test('a flock that fails is an error, never a lock', async () => {
    const bin = pathWith()
    for (const [exit, reason] of [
      ['exit 71', 'flock ended with 71'],
      ['kill -9 $$', 'flock ended with SIGKILL'],
    ] as const) {
      writeFileSync(join(bin, 'flock'), `#!/bin/sh\n${exit}\n`)
      chmodSync(join(bin, 'flock'), 0o755)
      const { said } = await contend(withPath(bin))
      expect(said).toMatch(/^WAL_IO: /)
      expect(said).toContain(reason)
      expect(said).toContain("option 'lock'")
    }
  })

  test('a flock that cannot be run is an error, and perl is not asked', async () => {
    const bin = pathWith(locate('perl'))
    mkdirSync(join(bin, 'flock'))
    writeFileSync(join(directory, 'flock'), 'not executable')
    const { said } = await contend(withPath(`${bin}:${directory}`))
    expect(said).toMatch(/^WAL_IO: .*flock cannot be run/)
  })
})
