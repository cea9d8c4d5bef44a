// @ts-check
// Figures as a reader wants them: three significant digits and a unit.

/** @param {number} value */
export function threeDigits(value) {
  if (!Number.isFinite(value)) return '–'
  if (value === 0) return '0'
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return digits > 0 ? value.toFixed(Math.min(digits, 3)) : String(Math.round(value))
}

/** `1.23 M`, `45.6 k`, `789`. @param {number} value */
export function compact(value) {
  if (Math.abs(value) >= 1e9) return `${threeDigits(value / 1e9)} G`
  if (Math.abs(value) >= 1e6) return `${threeDigits(value / 1e6)} M`
  if (Math.abs(value) >= 1e4) return `${threeDigits(value / 1e3)} k`
  return threeDigits(value)
}

/** A mark on an axis: `1024`, `20 k`, `64 KiB`. @param {number} value @param {boolean} [inBytes] */
export function mark(value, inBytes = false) {
  if (!inBytes && value < 10_000) return String(Number(value.toPrecision(4)))
  const base = inBytes ? 1024 : 1000
  const names = inBytes ? ['B', 'KiB', 'MiB', 'GiB'] : ['', 'k', 'M', 'G']
  let power = 0
  while (power < names.length - 1 && value >= base ** (power + 1)) power++
  return `${Number((value / base ** power).toPrecision(3))} ${names[power]}`.trim()
}

/** @param {number} value @param {string} unit */
export function withUnit(value, unit) {
  const text = compact(value)
  return /[kMG]$/.test(text) ? `${text}${unit.startsWith('entries') ? '/s' : ` ${unit}`}` : `${text} ${unit}`
}

/** Lowest and highest round. @param {{ min: number, max: number }} row */
export function spread({ min, max }) {
  return `${compact(min)} … ${compact(max)}`
}
