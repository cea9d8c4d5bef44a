import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { replaceBetweenMarks, summarize } from '../bench/readme.mjs'
import { fromRoot } from './helpers/project.js'

const row = (peer: string, median: number | undefined, survives: string) => ({
  peer,
  how: 'append',
  survives,
  ...(median === undefined ? {} : { median }),
})
const results = {
  name: 'today',
  date: '2026-11-22T10:00:00Z',
  command: 'npm run bench',
  commit: 'abc1234',
  rounds: 5,
  machine: { cpu: 'a processor', cores: 2, node: '20.20.2' },
  cases: [
    {
      id: 'T1',
      title: 'appends',
      unit: 'entries/s',
      better: 'higher' as const,
      rows: [
        row('walrus', 2e6, 'a power cut'),
        row('walrus', 1e6, 'a power cut'),
        row('lmdb', 5e5, 'a power cut'),
        row('fast', 3e6, 'nothing'),
        { ...row('lmdb', 9e6, 'a power cut'), reference: true },
        row('gone', undefined, ''),
      ],
      targets: [
        { wanted: 'walrus / lmdb at least 2', value: 4, met: true, against: 'lmdb' },
        { wanted: 'walrus / best other log at least 10', value: 4, met: false, against: 'lmdb' },
        { wanted: 'walrus / gone at least 2', missing: 'gone: not in this run' },
      ],
    },
    {
      id: 'T4',
      title: 'latency',
      unit: 'µs',
      better: 'lower' as const,
      rows: [row('walrus', 120, 'a power cut'), row('none', 1, ''), row('sqlite', 185, 'a power cut')],
    },
    { id: 'T6', title: 'left out', unit: 'µs', better: 'lower' as const, rows: [] },
  ],
}

describe('the bench table of the README', () => {
  it('sets ours beside the best others, and says what theirs survives', () => {
    const text = summarize(results, path => path.endsWith('T1.svg'))
    expect(text.split('\n').filter(line => line.startsWith('| T'))).toEqual([
      '| T1: appends | **2.00 M/s** | 500 k/s (lmdb) | 3.00 M/s (fast; nothing) | 4.00: walrus / lmdb at least 2<br>**missed** 4.00 (lmdb): walrus / best other log at least 10<br>walrus / gone at least 2: gone: not in this run |',
      '| T4: latency | **120 µs** | 185 µs (sqlite) | 185 µs (sqlite; a power cut) | – |',
    ])
    expect(text).toContain('![appends](bench/results/today/T1.svg)')
    expect(text).not.toContain('T4.svg')
  })

  it('stands between the marks, and only there', () => {
    const readme = readFileSync(fromRoot('README.md'), 'utf8')
    const changed = replaceBetweenMarks(readme, 'the table')
    expect(changed).toContain('<!-- bench:start -->\nthe table\n<!-- bench:end -->')
    expect(changed.split('<!-- bench:start -->')[0]).toBe(readme.split('<!-- bench:start -->')[0])
    expect(replaceBetweenMarks(changed, 'the table')).toBe(changed)
    expect(() => replaceBetweenMarks('no marks', '')).toThrow('no <!-- bench:start -->')
  })
})
