import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { inspectWal, verifyWal } from '../../src/index.js'
import { SimulatedFileSystem } from '../../src/testing.js'
import { fromRoot } from '../helpers/project.js'
import { describeLog, directory, type GoldenLog, goldenLogs } from './logs.js'

/**
 * Logs as versions of this library wrote them: they have to stay readable. `WALRUS_GOLDEN=write npx vitest run test/golden` writes those
 * of the present version anew, which only a change of the format that was never released may ask for; later versions get a folder of
 * their own beside this one.
 */
const folder = fromRoot('test', 'golden', 'format-1')
const WRITES = process.env['WALRUS_GOLDEN'] === 'write'

async function load(name: string): Promise<SimulatedFileSystem> {
  const fs = new SimulatedFileSystem()
  await fs.createDirectory(directory)
  for (const file of readdirSync(join(folder, name)))
    fs.place(`${directory}/${file}`, readFileSync(join(folder, name, file)))
  return fs
}

async function write({ name, encoding, write: make }: GoldenLog): Promise<void> {
  const fs = await make(new SimulatedFileSystem())
  const target = join(folder, name)
  rmSync(target, { recursive: true, force: true })
  mkdirSync(target, { recursive: true })
  for (const file of await fs.list(directory))
    if (file !== 'lock') writeFileSync(join(target, file), fs.contents(`${directory}/${file}`))
  const content = await describeLog(await load(name), encoding)
  writeFileSync(`${target}.json`, `${JSON.stringify(content, null, 2)}\n`)
}

describe('golden files', () => {
  it.each(goldenLogs)('$name reads as it was written', async log => {
    if (WRITES) await write(log)
    const expected: unknown = JSON.parse(readFileSync(join(folder, `${log.name}.json`), 'utf8'))
    const content = await describeLog(await load(log.name), log.encoding)
    expect(content).toEqual(expected)
    expect((content as { entries: unknown[] }).entries.length).toBeGreaterThan(1)
  })

  it.each(goldenLogs)('$name verifies and inspects', async ({ name, encoding }) => {
    const fs = await load(name)
    const { findings, entries } = await verifyWal(directory, { fileSystem: fs })
    const expected = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'))
    const kinds: Record<string, string[]> = { 'binary-killed': ['torn'], 'binary-gap': ['gap'] }
    expect(findings.map(({ kind }) => kind)).toEqual(kinds[name] ?? [])
    expect(entries).toBeGreaterThanOrEqual(expected.entries.length)
    expect(await inspectWal(directory, { fileSystem: fs })).toMatchObject({
      format: name.split('-')[0],
      encoding: encoding.name,
      version: 1,
      firstIndex: expected.firstIndex,
      lastIndex: expected.lastIndex,
    })
  })

  it('has no log that nobody reads', () => {
    const names = readdirSync(folder).filter(name => !name.endsWith('.json'))
    expect(names.sort()).toEqual(goldenLogs.map(({ name }) => name).sort())
  })
})
