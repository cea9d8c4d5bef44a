// @ts-check
// `npm run bench:readme -- <name>`: puts the results of bench/results/<name>.json into the project's README, between its two marks.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { compact, withUnit } from './lib/format.mjs'

const README = new URL('../README.md', import.meta.url)
const START = '<!-- bench:start -->'
const END = '<!-- bench:end -->'
/** The cases whose charts are shown. */
const CHARTS = ['T1', 'T2', 'T4', 'T9']

/**
 * What a results file says of one contender.
 * @typedef {{ peer: string, version?: string, how: string, reference?: boolean, median?: number, survives: string }} Row
 * @typedef {{ id: string, title: string, unit: string, better: 'higher' | 'lower', rows: Row[], targets?: Target[] }} Case
 * @typedef {{ wanted: string, value?: number, missing?: string, met?: boolean, against?: string }} Target
 * @typedef {{ name: string, date: string, command: string, commit: string, rounds: number, machine: { cpu: string, cores: number, node: string }, cases: Case[] }} Results
 */

/**
 * One line for each case: the first of ours, the best of the others whose entries survive a power cut, and the best of all others.
 * @param {Results} results @param {(chart: string) => boolean} hasChart by its path from the README
 */
export function summarize({ name, date, command, commit, rounds, machine, cases }, hasChart) {
  const lines = cases.flatMap(line)
  const charts = CHARTS.map(id => ({ id, path: `bench/results/${name}/${id}.svg` })).filter(({ path }) =>
    hasChart(path),
  )
  return [
    `Taken ${date.slice(0, 10)} with \`${command}\` at commit ${commit}; ${machine.cpu}, ${machine.cores} cores, Node ${machine.node}; the median of ${rounds} rounds. ` +
      `All contenders and the spread: [bench/results/${name}.md](bench/results/${name}.md).`,
    '',
    '| case | walrus-wal | best other that survives a power cut | best other, and what its entries survive | measured ratios, and what was aimed at |',
    '|---|---|---|---|---|',
    ...lines,
    ...charts.flatMap(({ id, path }) => ['', `![${cases.find(one => one.id === id)?.title ?? id}](${path})`]),
  ].join('\n')
}

/** @param {Case} benchCase */
function line({ id, title, unit, better, rows, targets = [] }) {
  const best = (/** @type {(row: Row) => boolean} */ fits) =>
    rows
      .filter(row => row.median !== undefined && row.peer !== 'none' && !row.reference && fits(row))
      .sort((a, b) => (better === 'higher' ? 1 : -1) * (Number(b.median) - Number(a.median)))[0]
  const ours = rows.find(({ peer, median }) => peer === 'walrus' && median !== undefined)
  if (ours === undefined) return []
  const cell = (/** @type {Row | undefined} */ row, /** @type {string} */ more) =>
    row === undefined ? '–' : `${withUnit(Number(row.median), unit)} (${row.peer}${more})`
  const durable = best(({ peer, survives }) => peer !== 'walrus' && survives === ours.survives)
  const any = best(({ peer }) => peer !== 'walrus')
  const survives = any?.survives ? `; ${any.survives}` : ''
  return [
    `| ${id}: ${title} | **${withUnit(Number(ours.median), unit)}** | ${cell(durable, '')} | ${cell(any, survives)} | ${targets.map(aim).join('<br>') || '–'} |`,
  ]
}

/** @param {Target} target */
function aim({ wanted, value, missing, met, against }) {
  if (value === undefined) return `${wanted}: ${missing}`
  const opponent = against !== undefined && !wanted.includes(against) ? ` (${against})` : ''
  return `${met ? '' : '**missed** '}${compact(value)}${opponent}: ${wanted}`
}

/** @param {string} readme @param {string} text */
export function replaceBetweenMarks(readme, text) {
  const start = readme.indexOf(START)
  const end = readme.indexOf(END)
  if (start < 0 || end < start) throw new Error(`README.md has no ${START} ... ${END}`)
  return `${readme.slice(0, start + START.length)}\n${text}\n${readme.slice(end)}`
}

const [name] = process.argv.slice(2)
if (import.meta.url === `file://${process.argv[1]}`) {
  if (name === undefined) throw new Error('npm run bench:readme -- <name of the results>')
  const results = JSON.parse(readFileSync(new URL(`results/${name}.json`, import.meta.url), 'utf8'))
  const text = summarize(results, path => existsSync(new URL(`../${path}`, import.meta.url)))
  writeFileSync(README, replaceBetweenMarks(readFileSync(README, 'utf8'), text))
}
