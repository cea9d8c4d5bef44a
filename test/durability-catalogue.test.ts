import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { fromRoot } from './helpers/project.js'

const ROWS = 53

interface Row {
  number: number
  behaviour: string
  tests: { path: string; title: string }[]
}

/** The rows of the catalogue: number, failure, what happens, and tests as `[name](../path): *title*; *title*`. */
function rowsOf(text: string): Row[] {
  const lines = text.split('\n').filter(line => /^\| \d+ \|/.test(line))
  return lines.map(line => {
    const [number, , behaviour = '', shownBy = ''] = line.slice(2, -2).split(' | ')
    return { number: Number(number), behaviour, tests: testsOf(shownBy) }
  })
}

function testsOf(cell: string): Row['tests'] {
  return cell.split('<br>').flatMap(part => {
    const path = /\]\(\.\.\/(test\/[^)]+)\): /.exec(part)?.[1]
    if (path === undefined) return []
    const titles = [...part.matchAll(/(?<=: |; )\*(.+?)\*(?=; \*|$)/g)]
    return titles.map(([, title = '']) => ({ path, title }))
  })
}

/** Whether a source has a test or a group of tests of this title, however it is quoted. */
function hasTest(source: string, title: string): boolean {
  return ["'", '"', '`'].some(quote => source.includes(`${quote}${title}${quote},`))
}

describe('the catalogue of failures', () => {
  const rows = rowsOf(readFileSync(fromRoot('docs/DURABILITY.md'), 'utf8'))

  it('has all its rows', () => {
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: ROWS }, (_, i) => i + 1))
  })

  it.each(rows)('names for row $number tests that are there, or says why it cannot occur', ({ behaviour, tests }) => {
    if (tests.length === 0) expect(behaviour).toMatch(/^Cannot occur: /)
    const missing = tests.filter(({ path, title }) => {
      return !existsSync(fromRoot(path)) || !hasTest(readFileSync(fromRoot(path), 'utf8'), title)
    })
    expect(missing).toEqual([])
  })

  it('would be seen naming a test that is not there', () => {
    const [row] = rowsOf('| 7 | a | b | [x](../test/x.test.ts): *one; two*; *three*<br>[y](../test/y.ts): *four* |')
    expect(row).toEqual({
      number: 7,
      behaviour: 'b',
      tests: [
        { path: 'test/x.test.ts', title: 'one; two' },
        { path: 'test/x.test.ts', title: 'three' },
        { path: 'test/y.ts', title: 'four' },
      ],
    })
    expect(hasTest("it('four', () => {})", 'four')).toBe(true)
    expect(hasTest("it('four and more', () => {})", 'four')).toBe(false)
    expect(hasTest("it('four and more', () => {})", 'more')).toBe(false)
  })
})
