// @ts-check
// Compares the medians of a case with its targets.
import { NOT_HAD } from '../cases.mjs'

/**
 * @param {import('../cases.mjs').Case} benchCase
 * @param {any[]} rows
 */
export function judge(benchCase, rows) {
  return benchCase.targets.map(target => judgeOne(benchCase, target, rows))
}

/** @param {import('../cases.mjs').Case} benchCase @param {import('../cases.mjs').Target} target @param {any[]} rows */
function judgeOne(benchCase, target, rows) {
  const wanted = sentence(target)
  const own = rows.find(({ key }) => key === target.row)
  if (own?.median === undefined) return { wanted, missing: `${target.row}: ${own?.leftOut ?? 'not in this run'}` }
  const name = target.figure ?? benchCase.figure
  const figure = own.figures[name]
  if (target.against === undefined) return { wanted, value: figure, met: isMet(target, figure) }
  const other = opponent(benchCase, target, rows)
  if (other === undefined) return { wanted, missing: NOT_HAD[target.against] ?? `${target.against}: not in this run` }
  const value = target.less ? figure - other.figures[name] : figure / other.figures[name]
  return { wanted, value, against: other.key, met: isMet(target, value) }
}

/** @param {import('../cases.mjs').Case} benchCase @param {import('../cases.mjs').Target} target @param {any[]} rows */
function opponent(benchCase, { against }, rows) {
  const measured = rows.filter(row => row.median !== undefined)
  if (against !== 'best') return measured.find(({ key }) => key === against)
  const sign = benchCase.better === 'higher' ? -1 : 1
  const peers = measured.filter(({ peer }) => peer !== 'walrus' && peer !== 'raw')
  return peers.sort((a, b) => sign * (a.median - b.median))[0]
}

/** @param {import('../cases.mjs').Target} target @param {number} value */
function isMet({ atLeast, atMost }, value) {
  return (atLeast === undefined || value >= atLeast) && (atMost === undefined || value <= atMost)
}

/** @param {import('../cases.mjs').Target} target */
function sentence({ row, against, figure, less, atLeast, atMost }) {
  const bound = atLeast === undefined ? `at most ${short(atMost)}` : `at least ${short(atLeast)}`
  if (against === undefined) return `${row}: ${figure} ${bound}`
  if (less) return `${row} − ${against} ${bound}`
  return `${row} / ${against === 'best' ? 'best other log' : against} ${bound}`
}

/** @param {number | undefined} value */
function short(value = Number.NaN) {
  return value < 0.1 ? `1/${Math.round(1 / value)}` : value.toLocaleString('en')
}
