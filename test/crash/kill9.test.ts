import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { openWal } from '../../src/index.js'
import { runNode } from '../helpers/process.js'
import { assertBuildIsFresh, fromRoot, projectRoot, tsc } from '../helpers/project.js'
import type { Deeds } from './kill9/ledger.js'
import { payloadOf } from './kill9/payload.js'
import { verifyLog } from './kill9/verify.js'

const SEED = 7

describe('a writer killed with SIGKILL', () => {
  beforeAll(async () => {
    assertBuildIsFresh()
    const compiler = tsc('-p', fromRoot('test/crash/kill9/tsconfig.json'))
    expect(await runNode(compiler, { cwd: projectRoot, timeoutMs: 50_000 })).toEqual({ ended: 0, output: '' })
  })

  it.each([
    [50, 'binary'],
    [10, 'ndjson'],
  ])(
    'loses nothing it was told is stored, and leaves nothing it did not write, in %i rounds, format %s',
    async (rounds, format) => {
      const program = fromRoot('build/kill9/main.js')
      const args = [program, '--rounds', `${rounds}`, '--format', format]
      const { ended, output } = await runNode(args, { cwd: projectRoot, timeoutMs: 170_000 })
      expect(ended, output).toBe(0)
      expect(output).toMatch(/rounds .* [1-9][\d,]* entries acknowledged, 0 lost, 0 invented/)
      console.log(output.trim())
    },
    180_000,
  )
})

/** What a writer notes that has written the entries 1 to 5 in round 1 and been told of all of them. */
const honest: Deeds = { opened: 0, attempted: 5, acknowledged: 5, cutting: 0, cut: 0 }
const single = (index: number, round = 1) => payloadOf({ seed: SEED, round, index, batchFirst: index, batchCount: 1 })
const inBatch = (index: number, batchFirst: number, batchCount: number) =>
  payloadOf({ seed: SEED, round: 1, index, batchFirst, batchCount })

async function verify(payloads: readonly (Buffer | string)[], rounds: Record<number, Deeds> = { 1: honest }) {
  const directory = mkdtempSync(join(tmpdir(), 'walrus-kill9-'))
  try {
    const wal = await openWal(directory)
    await wal.appendBatch(payloads)
    await wal.close()
    const deeds = new Map(Object.entries(rounds).map(([round, one]) => [Number(round), one]))
    return await verifyLog(directory, SEED, deeds)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

describe('the checker of these rounds', () => {
  const five = [single(1), inBatch(2, 2, 3), inBatch(3, 2, 3), inBatch(4, 2, 3), single(5)]

  it('accepts what was written', async () => {
    expect(await verify(five)).toEqual({ firstIndex: 1, lastIndex: 5, entries: 5, recovered: false })
  })

  it.each([
    ['a lost entry', five.slice(0, 4), { 1: honest }, 'the log ends at 4; 5 had been acknowledged'],
    ['an invented entry', [...five, single(6)], { 1: honest }, 'entry 6 was never written in round 1'],
    ['an entry of a round that never was', [single(1, 9)], { 1: { ...honest, acknowledged: 0 } }, 'in round 9'],
    ['an entry in the wrong place', [five[0]!, single(3), ...five.slice(2)], { 1: honest }, 'entry 2 was written as 3'],
    ['altered content', [...five.slice(0, 4), `${single(5)}!`], { 1: honest }, 'entry 5 is not what was written'],
    ['half a batch at the end', five.slice(0, 3), { 1: { ...honest, acknowledged: 1 } }, 'the batch 2-4 ends at 3'],
    ['a batch without its end', [...five.slice(0, 3), single(4), single(5)], { 1: honest }, 'the batch 2-4 stops at 3'],
    ['a batch without its start', [...five.slice(0, 1), single(2), ...five.slice(2)], { 1: honest }, '2-4 begins at 3'],
    ['a front that was not cut', five, { 1: { ...honest, cutting: 3, cut: 3 } }, 'the log begins at 1'],
    [
      'an entry that came back',
      five,
      { 1: { ...honest, acknowledged: 3 }, 2: { ...honest, opened: 3, attempted: 5, acknowledged: 5 } },
      'entry 4 is of round 1; round 2 had it acknowledged',
    ],
  ])('catches %s', async (_, payloads, rounds, message) => {
    await expect(verify(payloads, rounds)).rejects.toThrow(message)
  })
})
