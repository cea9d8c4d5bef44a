import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { openWal } from '../../src/index.js'
import { assertBuildIsFresh } from '../helpers/project.js'

const program = fileURLToPath(new URL('ending.mjs', import.meta.url))
const BATCH = 3

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'walrus-ending-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

/** Lets a writer end in its way; gives what it was told by then and what the log holds. */
async function endingBy(way: 'exit' | 'throw' | 'itself', after: number, writerThread: boolean) {
  const args = [program, directory, way, `${after}`, `${writerThread}`]
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 30_000 })
  const told = Math.max(0, ...stdout.trim().split('\n').map(Number))
  await using wal = await openWal(directory)
  const data = (await wal.getRange(1, wal.lastIndex)).map(entry => String(entry.data))
  expect(data).toEqual(data.map((_, i) => `entry ${i + 1}`))
  return { status, told, lastIndex: wal.lastIndex, clean: wal.recoveryReport.clean }
}

describe.each([
  ['', false],
  [', written by a thread', true],
])('a process that ends without closing its log%s', (_how, writerThread) => {
  beforeAll(assertBuildIsFresh)

  it.each([
    ['exit', 1],
    ['exit', 40],
    ['throw', 1],
    ['throw', 40],
  ] as const)(
    'by %s, after it was told of %i: what it was told is there, no batch is there in part',
    async (way, after) => {
      const { status, told, lastIndex } = await endingBy(way, after, writerThread)
      expect(status).toBe(way === 'exit' ? 3 : 1)
      expect(told).toBeGreaterThanOrEqual(after)
      expect(lastIndex).toBeGreaterThanOrEqual(told)
      expect(lastIndex % BATCH).toBe(0)
    },
  )

  it('because nothing is left to do: pending commits keep it alive, an idle log does not, all is there', async () => {
    const { status, told, lastIndex } = await endingBy('itself', Number.POSITIVE_INFINITY, writerThread)
    expect({ status, told, lastIndex }).toEqual({ status: 0, told: 600, lastIndex: 600 })
  })
})
