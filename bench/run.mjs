// @ts-check
// `npm run bench`: runs the cases against their peers and writes the results. See README.md beside this file.
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CASES } from './cases.mjs'
import { CURVES } from './curves.mjs'
import { buildGoPeers, buildGoWalrus, installPeers } from './lib/children.mjs'
import { mark, spread, withUnit } from './lib/format.mjs'
import { mountExt4 } from './lib/loop-mount.mjs'
import { describeMachine, fileSystemOf } from './lib/machine.mjs'
import { renderMarkdown } from './lib/markdown.mjs'
import { profileMarkdown } from './lib/profile.mjs'
import { runCase } from './lib/run-case.mjs'
import { barChart, lineChart } from './lib/svg.mjs'
import { judge } from './lib/targets.mjs'

const HERE = new URL('.', import.meta.url).pathname
const SCRATCH = join(HERE, 'scratch')
const RESULTS = join(HERE, 'results')
/** What the files of a peer take, beside the data, at most. */
const OVERHEAD = 1.6
const HELP = `npm run bench -- [options]
  --quick              smaller logs, shorter runs, 3 rounds
  --case T4,T5         only these cases (T2 includes T2-1KiB)
  --peer lmdb,tidwall  walrus-wal and these peers only
  --curves             the scaling curves instead of the cases (C1 ... C5)
  --profile            where the time goes instead: one round of walrus-wal under V8's profiler
  --rounds 5           how often each contender runs
  --name NAME          of the result files; default: the date
  --list               what there is to run`

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    case: { type: 'string', multiple: true, default: [] },
    peer: { type: 'string', multiple: true, default: [] },
    curves: { type: 'boolean', default: false },
    profile: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    name: { type: 'string' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const wantedCases = flags.case.flatMap(text => text.split(','))
const wantedPeers = flags.profile ? ['walrus'] : flags.peer.flatMap(text => text.split(','))
const started = new Date()

if (flags.help) console.log(HELP)
else if (flags.list) list()
else await main()

function list() {
  for (const { id, title, rows } of CASES)
    console.log(`${id.padEnd(13)} ${title}\n${' '.repeat(14)}${rows.map(({ key }) => key).join(', ')}`)
  for (const { id, title } of CURVES) console.log(`${id.padEnd(13)} ${title} (--curves)`)
}

async function main() {
  mkdirSync(SCRATCH, { recursive: true })
  if (fileSystemOf(SCRATCH) === 'tmpfs')
    throw new Error('bench/scratch lies in memory (tmpfs): nothing durable can be measured there')
  const noPeers = installPeers()
  if (noPeers !== undefined) throw new Error(noPeers)
  const noGo = buildGoPeers(SCRATCH)
  if (noGo !== undefined) console.log(`The Go peers are left out: ${noGo}.`)
  const noGoWalrus = noGo ?? buildGoWalrus(SCRATCH)
  const machine = describeMachine(SCRATCH)
  if (machine.loadBefore > machine.cores / 2)
    console.log(`The machine is busy (load ${machine.loadBefore.toFixed(1)}): figures will be noisy.`)
  const bench = {
    scratch: SCRATCH,
    quick: flags.quick,
    rounds: Number(flags.rounds ?? (flags.profile ? 1 : flags.quick ? 3 : 5)),
    profile: flags.profile,
    whyNot: (/** @type {import('./cases.mjs').Row} */ { go, peer }) =>
      go ? (peer === 'go-walrus' ? noGoWalrus : noGo) : undefined,
  }
  const results = {
    ...describe(bench.rounds, machine),
    ...(flags.curves ? { cases: [], curves: await runCurves(bench) } : { cases: await runCases(bench) }),
  }
  write(results)
}

/** @param {number} rounds @param {object} machine */
function describe(rounds, machine) {
  const command = ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' ')
  const narrowed = wantedCases.length + wantedPeers.length > 0
  const parts = [
    started.toISOString().slice(0, 10),
    flags.curves ? 'curves' : '',
    flags.profile ? 'profile' : '',
    flags.quick ? 'quick' : '',
    narrowed ? 'part' : '',
  ]
  return {
    name: flags.name ?? parts.filter(part => part !== '').join('-'),
    date: started.toISOString(),
    command,
    commit: commit(),
    rounds,
    quick: flags.quick,
    machine,
  }
}

function commit() {
  const git = (/** @type {string[]} */ ...parameters) =>
    execFileSync('git', parameters, { cwd: HERE, encoding: 'utf8' }).trim()
  try {
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', '../src') === '' ? '' : ' with changes')
  } catch {
    return 'unknown'
  }
}

/** @param {string} id */
function isWanted(id) {
  return wantedCases.length === 0 || wantedCases.some(wanted => id === wanted || id.startsWith(`${wanted}-`))
}

/** @template {{ peer: string }} R @param {R[]} rows */
function wantedRows(rows) {
  return wantedPeers.length === 0 ? rows : rows.filter(({ peer }) => ['walrus', 'none', ...wantedPeers].includes(peer))
}

/** @param {import('./lib/run-case.mjs').Bench} bench */
async function runCases(bench) {
  const done = []
  for (const benchCase of CASES.filter(({ id }) => isWanted(id))) {
    const narrowed = { ...benchCase, rows: wantedRows(benchCase.rows) }
    console.log(`\n${benchCase.id}: ${benchCase.title} (${benchCase.unit}, ${benchCase.better} is better)`)
    const outcome =
      benchCase.on === undefined ? await measure(narrowed, bench, SCRATCH) : await measureOnExt4(narrowed, bench)
    const { id, title, figure, unit, better, payloadBytes = 256, alsoShow } = benchCase
    done.push({ id, title, figure, unit, better, payloadBytes, alsoShow, rows: [], targets: [], ...outcome })
  }
  rmSync(join(SCRATCH, 'fixtures'), { recursive: true, force: true })
  return done
}

/** @param {import('./cases.mjs').Case} benchCase @param {import('./lib/run-case.mjs').Bench} bench @param {string} base */
async function measure(benchCase, bench, base) {
  const rows = await runCase(benchCase, bench, base)
  for (const row of rows) console.log(rowText(row, benchCase.unit))
  return { rows, targets: judge(benchCase, rows) }
}

/** @param {import('./cases.mjs').Case} benchCase @param {import('./lib/run-case.mjs').Bench} bench */
async function measureOnExt4(benchCase, bench) {
  const mounted = mountExt4(SCRATCH)
  if ('why' in mounted) {
    console.log(`  left out: ${mounted.why}`)
    return { leftOut: mounted.why }
  }
  try {
    return await measure(benchCase, bench, mounted.directory)
  } finally {
    mounted.unmount()
  }
}

/** @param {any} row @param {string} unit */
function rowText(row, unit) {
  const label = `  ${row.peer} · ${row.how}`.padEnd(52)
  if (row.median === undefined) return `${label} left out: ${row.leftOut}`
  const broken = row.brokeOff === undefined ? '' : `  (broke off: ${row.brokeOff})`
  return `${label} ${withUnit(row.median, unit).padStart(16)}   ${spread(row).padEnd(22)} survives ${row.survives || '–'}${broken}`
}

/** @param {import('./lib/run-case.mjs').Bench} bench */
async function runCurves(bench) {
  const done = []
  for (const curve of CURVES.filter(({ id }) => isWanted(id))) {
    console.log(`\n${curve.id}: ${curve.title} (${curve.unit})`)
    const { id, title, xLabel, inBytes, unit } = curve
    const rows = wantedRows(curve.rows)
    const series = rows.map(({ how }) => ({
      label: how,
      points: /** @type {{ x: number, y: number }[]} */ ([]),
      leftOut: /** @type {string | undefined} */ (undefined),
    }))
    for (const x of curve.xs.filter(value => !flags.quick || value <= curve.quickUpTo))
      await addPoint(curve, x, rows, series, bench)
    done.push({ id, title, xLabel, inBytes, unit, series })
    if (!id.startsWith('C1')) rmSync(join(SCRATCH, 'fixtures'), { recursive: true, force: true })
  }
  rmSync(join(SCRATCH, 'fixtures'), { recursive: true, force: true })
  return done
}

/**
 * @param {import('./curves.mjs').Curve} curve @param {number} x @param {import('./cases.mjs').Row[]} rows
 * @param {any[]} series @param {import('./lib/run-case.mjs').Bench} bench
 */
async function addPoint(curve, x, rows, series, bench) {
  const point = {
    id: curve.id,
    title: curve.title,
    figure: curve.figure,
    unit: curve.unit,
    better: 'lower',
    targets: [],
    rows,
    ...curve.at(x),
  }
  const missing = missingDisk(point, x)
  if (missing !== undefined) return console.log(`  ${mark(x, curve.inBytes)}: left out: ${missing}`)
  /** @type {any[]} */
  const measured = await runCase(/** @type {any} */ ({ ...point, quick: point.budget }), bench, SCRATCH)
  for (const [at, { median, leftOut }] of measured.entries()) {
    if (median === undefined) series[at].leftOut = leftOut
    else series[at].points.push({ x, y: median })
  }
  console.log(
    `  ${mark(x, curve.inBytes)}: ${measured.map(({ how, median, leftOut }) => `${how} ${median === undefined ? `left out: ${leftOut}` : withUnit(median, curve.unit)}`).join('; ')}`,
  )
}

/** Why the disk is too small for the logs that a point reads, if it is. @param {any} point @param {number} bytes */
function missingDisk({ fixture, params, rows }, bytes) {
  if (fixture === undefined || params.entriesPerSegment) return undefined
  const needed = bytes * rows.length * OVERHEAD
  const { bavail, bsize } = statfsSync(SCRATCH)
  return needed < bavail * bsize
    ? undefined
    : `it needs ${mark(needed, true)} of disk, ${mark(bavail * bsize, true)} are free`
}

/** @param {any} results */
function write(results) {
  if (flags.profile) {
    writeFileSync(join(RESULTS, `${results.name}.md`), `${profileMarkdown(results.cases)}\n`)
    console.log(`\nwritten: bench/results/${results.name}.md`)
    return
  }
  const charts = join(RESULTS, results.name)
  mkdirSync(charts, { recursive: true })
  writeFileSync(join(RESULTS, `${results.name}.json`), `${JSON.stringify(results, null, 1)}\n`)
  writeFileSync(join(RESULTS, `${results.name}.md`), renderMarkdown(results, results.name))
  const charted = results.cases.filter((/** @type {any} */ { rows }) =>
    rows.some((/** @type {any} */ row) => row.median !== undefined),
  )
  for (const benchCase of charted) writeFileSync(join(charts, `${benchCase.id}.svg`), barChart(benchCase))
  for (const curve of results.curves ?? []) {
    if (curve.series.some((/** @type {any} */ line) => line.points.length > 0))
      writeFileSync(join(charts, `${curve.id}.svg`), lineChart(curve))
  }
  console.log('')
  for (const { id, targets } of results.cases) for (const target of targets) console.log(targetText(id, target))
  console.log(`\nwritten: bench/results/${results.name}.json, .md and ${results.name}/*.svg`)
}

/** @param {string} id @param {any} target */
function targetText(id, { wanted, value, missing, met }) {
  return `${id.padEnd(13)} ${wanted.padEnd(48)} ${missing ?? `${withUnit(value, '').trim()} ${met ? 'met' : 'MISSED'}`}`
}
