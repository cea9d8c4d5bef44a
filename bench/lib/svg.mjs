// @ts-check
// Charts without a library. The colours follow the reader's light or dark scheme; every bar carries its figure as
// text, so nothing depends on telling colours apart.
import { mark, withUnit } from './format.mjs'

const WIDTH = 820
const LABELS = 296
const BARS = 330
const ROW = 26
const TOP = 62

const STYLE = `<style>
  .paper { fill: #ffffff } .ink { fill: #1f2328 } .faint { fill: #59636e } .rule { stroke: #d1d9e0 } .spread { stroke: #1f2328 }
  .own { fill: #0969da } .peer { fill: #8c959f } .own-line { stroke: #0969da } .line-1 { stroke: #8250df } .line-2 { stroke: #bc4c00 } .line-3 { stroke: #1a7f37 } .line-4 { stroke: #59636e }
  .own-dot { fill: #0969da } .dot-1 { fill: #8250df } .dot-2 { fill: #bc4c00 } .dot-3 { fill: #1a7f37 } .dot-4 { fill: #59636e }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117 } .ink { fill: #e6edf3 } .faint { fill: #9198a1 } .rule { stroke: #3d444d } .spread { stroke: #e6edf3 }
    .own { fill: #4493f8 } .peer { fill: #656c76 } .own-line { stroke: #4493f8 } .line-1 { stroke: #ab7df8 } .line-2 { stroke: #f0883e } .line-3 { stroke: #3fb950 } .line-4 { stroke: #9198a1 }
    .own-dot { fill: #4493f8 } .dot-1 { fill: #ab7df8 } .dot-2 { fill: #f0883e } .dot-3 { fill: #3fb950 } .dot-4 { fill: #9198a1 }
  }
  text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif } .title { font-size: 16px; font-weight: 600 } .small { font-size: 11px }
  .unsafe { fill-opacity: 0.35 }
</style>`

/** Horizontal bars, one for each contender. @param {any} benchCase with rows that have been measured */
export function barChart({ id, title, unit, better, payloadBytes, rows }) {
  const measured = rows.filter((/** @type {any} */ row) => row.median !== undefined)
  const longest = Math.max(...measured.map((/** @type {any} */ row) => row.max))
  const height = TOP + measured.length * ROW + 40
  const bars = measured.map((/** @type {any} */ row, /** @type {number} */ at) =>
    bar(row, TOP + at * ROW, BARS / longest, unit),
  )
  const anyUnsafe = measured.some((/** @type {any} */ row) => row.survives !== 'power cut')
  const note = anyUnsafe
    ? 'Pale bars: acknowledged entries do not survive a power cut. '
    : 'All acknowledged entries survive a power cut. '
  return document(height, title, [
    text(20, 28, `${id}  ${title}`, 'ink title'),
    text(20, 47, `${unit}, ${payloadBytes} bytes an entry; ${better} is better`, 'faint small'),
    `<line class="rule" x1="${LABELS}" y1="${TOP - 4}" x2="${LABELS}" y2="${height - 38}"/>`,
    ...bars,
    text(
      20,
      height - 14,
      `${note}Bars are medians; the thin line spans the lowest and the highest round.`,
      'faint small',
    ),
  ])
}

/** @param {any} row @param {number} y @param {number} scale pixels for each unit @param {string} unit */
function bar(row, y, scale, unit) {
  const own = row.peer === 'walrus'
  const width = Math.max(1, row.median * scale)
  const middle = y + 9
  const kind = `${own ? 'own' : 'peer'}${row.survives === 'power cut' || row.survives === '' ? '' : ' unsafe'}`
  const end = LABELS + Math.max(width, row.max * scale) + 8
  return [
    text(
      LABELS - 8,
      y + 13,
      `${own ? 'walrus-wal' : row.peer} · ${row.how}`,
      own ? 'ink' : 'faint',
      'end',
      LABELS - 24,
    ),
    `<rect class="${kind}" x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="18" rx="2"/>`,
    `<line class="spread" stroke-opacity="0.6" x1="${(LABELS + row.min * scale).toFixed(1)}" y1="${middle}" x2="${(LABELS + row.max * scale).toFixed(1)}" y2="${middle}"/>`,
    text(end, y + 13, `${withUnit(row.median, unit)}${survivesLess(row)}`, own ? 'ink' : 'faint'),
  ].join('\n')
}

/** What is lost, where less than the usual is kept. @param {any} row */
function survivesLess({ survives }) {
  if (survives === 'process crash') return ' · lost in a power cut'
  return survives === 'nothing' ? ' · lost in any crash' : ''
}

const PLOT = { left: 78, top: 66, width: 520, height: 280 }

/** Lines over logarithmic axes, each named at its last point. @param {any} curve */
export function lineChart({ id, title, xLabel, inBytes, unit, series }) {
  const drawn = series.filter((/** @type {any} */ line) => line.points.length > 0)
  const all = drawn.flatMap((/** @type {any} */ line) => line.points)
  const xs = distinct(all.map((/** @type {any} */ point) => point.x))
  const ys = marksAround(all.map((/** @type {any} */ point) => point.y))
  const toX = axis(xs, PLOT.left, PLOT.width)
  const toY = axis(ys, PLOT.top + PLOT.height, -PLOT.height)
  const bottom = PLOT.top + PLOT.height
  const places = spreadLabels(drawn.map((/** @type {any} */ line) => toY(line.points.at(-1).y)))
  return document(bottom + 58, title, [
    text(20, 28, `${id}  ${title}`, 'ink title'),
    text(20, 47, `${unit}; both axes are logarithmic`, 'faint small'),
    ...ys.map(y => level(toY(y), y)),
    ...xs.map(x => text(toX(x), bottom + 18, mark(x, inBytes), 'faint small', 'middle')),
    text(PLOT.left + PLOT.width / 2, bottom + 40, xLabel, 'faint small', 'middle'),
    ...drawn.map((/** @type {any} */ line, /** @type {number} */ at) => drawLine(line, at, toX, toY, places[at] ?? 0)),
  ])
}

/** @param {number} y @param {number} value */
function level(y, value) {
  const line = `<line class="rule" x1="${PLOT.left}" y1="${y.toFixed(1)}" x2="${PLOT.left + PLOT.width}" y2="${y.toFixed(1)}"/>`
  return `${line}${text(PLOT.left - 8, y + 4, mark(value), 'faint small', 'end')}`
}

/** @param {any} line @param {number} at @param {(x: number) => number} toX @param {(y: number) => number} toY @param {number} labelY */
function drawLine({ label, points }, at, toX, toY, labelY) {
  const place = points.map((/** @type {any} */ { x, y }) => `${toX(x).toFixed(1)},${toY(y).toFixed(1)}`)
  const [line, dot] = at === 0 ? ['own-line', 'own-dot'] : [`line-${at}`, `dot-${at}`]
  const dots = points.map(
    (/** @type {any} */ { x, y }) =>
      `<circle class="${dot}" cx="${toX(x).toFixed(1)}" cy="${toY(y).toFixed(1)}" r="3"/>`,
  )
  return [
    `<polyline class="${line}" fill="none" stroke-width="2" points="${place.join(' ')}"/>`,
    ...dots,
    text(toX(points.at(-1).x) + 10, labelY + 4, label, dot),
  ].join('\n')
}

/** Moves labels apart that would lie on each other. @param {number[]} wanted */
function spreadLabels(wanted) {
  const order = wanted.map((y, at) => ({ y, at })).sort((a, b) => a.y - b.y)
  for (let at = 1; at < order.length; at++) {
    const [above, here] = [order[at - 1], order[at]]
    if (above && here) here.y = Math.max(here.y, above.y + 16)
  }
  return order.sort((a, b) => a.at - b.at).map(({ y }) => y)
}

/** @param {number[]} values */
function distinct(values) {
  return [...new Set(values)].sort((a, b) => a - b)
}

/** Powers of ten around the values, with 2 and 5 times them where that is few enough. @param {number[]} values */
function marksAround(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)]
  for (const steps of [[1, 2, 5], [1]]) {
    const marks = []
    for (let power = Math.floor(Math.log10(low)) - 1; power <= Math.ceil(Math.log10(high)) + 1; power++) {
      for (const step of steps) marks.push(step * 10 ** power)
    }
    const first = marks.findLastIndex(value => value <= low)
    const last = marks.findIndex(value => value >= high)
    const around = marks.slice(first, Math.max(last, first + 1) + 1)
    if (around.length <= 9 || steps.length === 1) return around
  }
  return [low, high]
}

/** @param {number[]} ticks @param {number} start @param {number} length */
function axis(ticks, start, length) {
  const [low, high] = [Math.log10(ticks[0] ?? 1), Math.log10(ticks.at(-1) ?? 10)]
  return (/** @type {number} */ value) => start + ((Math.log10(value) - low) / (high - low)) * length
}

/** @param {number} height @param {string} title @param {string[]} parts */
function document(height, title, parts) {
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escapeXml(title)}">`
  return `${[head, STYLE, `<rect class="paper" width="${WIDTH}" height="${height}" rx="6"/>`, ...parts, '</svg>'].join('\n')}\n`
}

/** @param {number} x @param {number} y @param {string} content @param {string} kind @param {string} [anchor] @param {number} [fit] widest in pixels */
function text(x, y, content, kind, anchor = 'start', fit = Number.POSITIVE_INFINITY) {
  const tooWide = content.length * 6.9 > fit ? ` textLength="${fit}" lengthAdjust="spacingAndGlyphs"` : ''
  return `<text class="${kind}" x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}"${tooWide}>${escapeXml(content)}</text>`
}

/** @param {string} content */
function escapeXml(content) {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
