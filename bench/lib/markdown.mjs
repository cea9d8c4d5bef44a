// @ts-check
// The results as Markdown: one table for each case, and one of the targets at the top.
import { compact, mark, spread, threeDigits, withUnit } from './format.mjs'

/** @param {any} results @param {string} chartDirectory relative to the Markdown file */
export function renderMarkdown(results, chartDirectory) {
  const parts = [heading(results), targetTable(results.cases)]
  for (const benchCase of results.cases) parts.push(caseSection(benchCase, chartDirectory))
  for (const curve of results.curves ?? []) parts.push(curveSection(curve, chartDirectory))
  parts.push(settings(results.cases))
  return `${parts.filter(part => part !== '').join('\n\n')}\n`
}

/** @param {any} results */
function heading({ name, date, machine, command, rounds, commit }) {
  return [
    `# Benchmark ${name}`,
    `Taken ${date} with \`${command}\` at commit ${commit}, ${rounds} rounds; ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGib} GiB, ` +
      `${machine.fileSystem}, Node ${machine.node}. Every figure is the median of the rounds, with the lowest and the highest round beside it. ` +
      `The load of the machine before the run was ${machine.loadBefore.toFixed(1)}. ` +
      'Compare figures within one table only. "Survives" is what an acknowledged entry survives: a power cut, a crash of the process, or nothing.',
  ].join('\n\n')
}

/** What every contender was opened with. @param {any[]} cases */
function settings(cases) {
  const rows = cases.flatMap(({ rows }) => rows).filter(({ options }) => options)
  const lines = new Set(
    rows.map(({ peer, version, options }) => `| ${peer} ${version} | ${options.replaceAll('|', '\\|')} |`),
  )
  return lines.size === 0
    ? ''
    : ['## Settings', '', '| peer | opened with |', '|---|---|', ...[...lines].sort()].join('\n')
}

/** @param {any[]} cases */
function targetTable(cases) {
  const rows = cases.flatMap(({ id, targets }) => targets.map((/** @type {any} */ target) => targetRow(id, target)))
  return rows.length === 0 ? '' : ['| case | target | measured | |', '|---|---|---|---|', ...rows].join('\n')
}

/** @param {string} id @param {any} target */
function targetRow(id, { wanted, value, missing, met, against }) {
  if (missing !== undefined) return `| ${id} | ${wanted} | – | ${missing} |`
  const note = against && !wanted.includes(against) ? ` (${against})` : ''
  return `| ${id} | ${wanted} | ${compact(value)}${note} | ${met ? 'met' : '**missed**'} |`
}

/** @param {any} benchCase @param {string} chartDirectory */
function caseSection({ id, title, unit, better, payloadBytes, alsoShow = [], rows, leftOut, figure }, chartDirectory) {
  const also = alsoShow.filter((/** @type {string} */ name) => name !== figure)
  const lines = [`## ${id}: ${title}`, '']
  if (leftOut !== undefined) return [...lines, `Left out: ${leftOut}.`].join('\n')
  lines.push(`![${id}](${chartDirectory}/${id}.svg)`, '', `${payloadBytes} bytes an entry; ${better} is better.`, '')
  lines.push(
    `| peer | call | ${unit} | lowest … highest |${also.map((/** @type {string} */ name) => ` ${name} |`).join('')} survives |`,
  )
  lines.push(`|---|---|---|---|${also.map(() => '---|').join('')}---|`)
  for (const row of rows) lines.push(tableRow(row, unit, also))
  return lines.join('\n')
}

/** @param {any} row @param {string} unit @param {string[]} also */
function tableRow(row, unit, also) {
  const blanks = also.map(() => ' |').join('')
  if (row.median === undefined)
    return `| ${row.peer} | ${row.how} | – | left out: ${row.leftOut.replaceAll('|', '\\|')} |${blanks} |`
  const more = also.map(name => ` ${compact(row.figures[name])} |`).join('')
  const label = row.peer === 'walrus' ? '**walrus-wal**' : `${row.peer} ${row.peer === 'none' ? '' : row.version}`
  return `| ${label} | ${row.how} | ${withUnit(row.median, unit)} | ${spread(row)} |${more} ${row.survives} |`
}

/** @param {any} curve @param {string} chartDirectory */
function curveSection({ id, title, xLabel, inBytes, unit, series }, chartDirectory) {
  const lines = [
    `## ${id}: ${title}`,
    '',
    `![${id}](${chartDirectory}/${id}.svg)`,
    '',
    `| ${xLabel} | contender | ${unit} |`,
    '|---|---|---|',
  ]
  for (const { label, points, leftOut } of series) {
    if (leftOut !== undefined) lines.push(`| – | ${label} | left out: ${leftOut} |`)
    for (const { x, y } of points) lines.push(`| ${mark(x, inBytes)} | ${label} | ${threeDigits(y)} |`)
  }
  return lines.join('\n')
}
