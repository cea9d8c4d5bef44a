import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { checkJournal } from './soak/journal.js'

const directory = mkdtempSync(join(tmpdir(), 'walrus-journal-'))
const path = join(directory, 'journal')

function check(lines: string[], belongs: (index: number) => boolean = () => true) {
  writeFileSync(path, lines.join('\n'))
  return checkJournal(path, belongs)
}

describe('the check of what a handler was given', () => {
  afterEach(() => rmSync(path, { force: true }))

  it('lets entries come again where that is to be expected', () => {
    expect(check(['again', '1 2 3', '4', 'again', '3 4 5', 'again', '6'])).toEqual({ last: 6, given: 8 })
    expect(check(['again', '3 6', 'again', '6 9'], index => index % 3 === 0)).toEqual({ last: 9, given: 4 })
    expect(checkJournal(path + path, () => true)).toEqual({ last: 0, given: 0 })
  })

  it.each([
    [['again', '1 2', '4'], 'entry 4 came after 2: some were left out'],
    [['again', '1 2', 'again', '4'], 'entry 4 came after 2: some were left out'],
    [['again', '2'], 'entry 2 came after 0: some were left out'],
    [['again', '1 2', '2 3'], 'entry 2 came after 2'],
    [['again', '1 2 3', 'again', '1 3'], 'entry 3 came after 1'],
  ])('finds what is wrong in %j', (lines, message) => {
    expect(() => check(lines)).toThrow(message)
  })

  it('finds what a filter should have left out', () => {
    expect(() => check(['again', '3 4'], index => index % 3 === 0)).toThrow(
      'entry 4 was given though the filter refuses it',
    )
  })
})
