// @ts-check
// Runs the rows of one case alternately, round after round, each in a fresh process and a fresh directory.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runChild } from './children.mjs'
import { median } from './measure.mjs'

const DEFAULT_PAYLOAD_BYTES = 256

/**
 * @typedef {object} Bench
 * @property {string} scratch
 * @property {boolean} quick
 * @property {number} rounds
 * @property {boolean} profile whether bodies run under the profiler
 * @property {(row: import('../cases.mjs').Row) => string | undefined} whyNot why a row cannot run here
 */

/**
 * @param {import('../cases.mjs').Case} benchCase
 * @param {Bench} bench
 * @param {string} base the directory that the logs are made in
 */
export async function runCase(benchCase, bench, base) {
  const rows = benchCase.rows.map(row => ({ row, rounds: /** @type {any[]} */ ([]), leftOut: bench.whyNot(row) }))
  for (let round = 0; round < bench.rounds; round++) {
    for (const state of rows) {
      if (state.leftOut !== undefined) continue
      const result = await runOnce(benchCase, state.row, bench, base)
      state.leftOut = result.failed ?? result.leftOut
      if (state.leftOut === undefined) state.rounds.push(result)
      process.stdout.write(state.leftOut === undefined ? '.' : 'x')
    }
  }
  process.stdout.write('\n')
  return rows.map(({ row, rounds, leftOut }) => summarise(benchCase, row, rounds, leftOut))
}

/**
 * @param {import('../cases.mjs').Case} benchCase @param {import('../cases.mjs').Row} row @param {Bench} bench
 * @param {string} base
 */
async function runOnce(benchCase, row, bench, base) {
  const directory = join(base, 'run')
  rmSync(directory, { recursive: true, force: true })
  const spec = specOf(benchCase, row, bench, directory)
  const failure = await prepare(benchCase, row, bench, base, spec)
  if (failure !== undefined) return failure
  spawnSync('sync', ['-f', base])
  const result = await runChild(row, bench.scratch, spec)
  rmSync(directory, { recursive: true, force: true })
  return result
}

/**
 * @param {import('../cases.mjs').Case} benchCase @param {import('../cases.mjs').Row} row @param {Bench} bench
 * @param {string} directory
 */
function specOf(benchCase, row, bench, directory) {
  return {
    body: row.body ?? benchCase.body,
    peer: row.peer,
    directory,
    payloadBytes: benchCase.payloadBytes ?? DEFAULT_PAYLOAD_BYTES,
    ...(bench.quick ? benchCase.quick : benchCase.budget),
    params: { ...benchCase.params, ...(bench.quick ? benchCase.quickParams : undefined), ...row.params },
    settings: row.settings ?? {},
    profile: bench.profile,
  }
}

/**
 * Makes the directory a body starts from: empty, or the log a case reads. A log that is only read is made once for
 * all rounds and used where it lies; one that a crash left is copied, because opening repairs it.
 * @param {import('../cases.mjs').Case} benchCase @param {import('../cases.mjs').Row} row @param {Bench} bench
 * @param {string} base @param {{ directory: string, params: any }} spec
 */
async function prepare({ fixture }, row, bench, base, spec) {
  if (fixture === undefined || row.peer === 'none') {
    mkdirSync(spec.directory, { recursive: true })
    return undefined
  }
  const made = fixtureDirectory(fixture, row, base, spec)
  if (!existsSync(made)) {
    const failure = await makeFixture(fixture, row, bench, made, spec)
    if (failure !== undefined) return failure
  }
  if (fixture === 'crash' || spec.params.onCopy) cpSync(made, spec.directory, { recursive: true })
  else spec.directory = made
  return undefined
}

/** @param {string} fixture @param {import('../cases.mjs').Row} row @param {string} base @param {any} spec */
function fixtureDirectory(fixture, row, base, { params }) {
  return join(base, 'fixtures', [fixture, row.peer, params.entries, params.entriesPerSegment ?? 'one'].join('-'))
}

/**
 * @param {string} body @param {import('../cases.mjs').Row} row @param {Bench} bench @param {string} directory
 * @param {any} spec
 */
async function makeFixture(body, row, bench, directory, { payloadBytes, params, settings }) {
  mkdirSync(directory, { recursive: true })
  const filled = { ...params, unchecked: true }
  const result = await runChild(row, bench.scratch, {
    body,
    peer: row.peer,
    directory,
    payloadBytes,
    seconds: 600,
    params: filled,
    settings,
  })
  if (result.failed === undefined && result.leftOut === undefined) return undefined
  rmSync(directory, { recursive: true, force: true })
  return result
}

/**
 * Medians of all figures over the rounds, and the spread of the one that is charted.
 * @param {import('../cases.mjs').Case} benchCase @param {import('../cases.mjs').Row} row @param {any[]} rounds
 * @param {string | undefined} leftOut
 */
function summarise(benchCase, row, rounds, leftOut) {
  const { key, peer, how, reference } = row
  if (rounds.length === 0) return { key, peer, how, leftOut: leftOut ?? 'no round was run' }
  const figures = rounds.map(round => round[benchCase.figure])
  const { survives, options, version } = rounds[0]
  const names = Object.keys(rounds[0]).filter(name => typeof rounds[0][name] === 'number')
  return {
    key,
    peer,
    how,
    reference,
    version,
    survives,
    options,
    median: median(figures),
    min: Math.min(...figures),
    max: Math.max(...figures),
    rounds: figures,
    profile: rounds.at(-1).profile,
    figures: Object.fromEntries(names.map(name => [name, median(rounds.map(round => round[name]))])),
    ...(leftOut === undefined ? {} : { brokeOff: leftOut }),
  }
}
