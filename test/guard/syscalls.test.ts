import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { rootWith } from '../helpers/machine.js'
import { assertBuildIsFresh, fromRoot } from '../helpers/project.js'

const APPENDS = 20
const STRACE = 'strace'

/** The system calls that change or sync something, of so many appends one after the other; each with the path it concerns. */
function traced(wanted: 'auto' | 'buffered'): { io: string; opened: string; calls: string[] } {
  const directory = mkdtempSync(join(tmpdir(), 'walrus-syscalls-'))
  try {
    const trace = join(directory, 'trace')
    const watched =
      '-etrace=/^(openat|access|faccessat2?|write|pwrite64|pwritev2?|writev|fsync|fdatasync|ftruncate|rename.*|unlink.*)$'
    const strace = ['-f', '-qq', '-y', '-o', trace, watched]
    const program = [fromRoot('test/guard/syscalls.mjs'), fromRoot('dist/index.js'), join(directory, 'log'), wanted]
    const io = execFileSync(STRACE, [...strace, process.execPath, ...program, String(APPENDS)])
      .toString()
      .trim()
    const lines = readFileSync(trace, 'utf8').split('\n')
    const from = lines.findIndex(line => line.includes('/trace-begins'))
    const to = lines.findIndex(line => line.includes('/trace-ends'))
    expect(from > 0 && to > from, 'the trace shows where the appends are').toBe(true)
    const opened = lines
      .slice(0, from)
      .filter(line => line.includes('.wal"') && line.includes('O_RDWR'))
      .at(-1)!
    return { io, opened, calls: lines.slice(from + 1, to).filter(line => line.includes(directory)) }
  } finally {
    rmSync(directory, { recursive: true })
  }
}

describe.runIf(rootWith([STRACE]))('what one append at a time asks of the kernel', () => {
  beforeAll(assertBuildIsFresh)

  it.each(['auto', 'buffered'] as const)(
    'is one write, and one sync where the write does not sync by itself: io %s',
    wanted => {
      const { io, opened, calls } = traced(wanted)
      const of = (call: RegExp, file: string) => calls.filter(line => call.test(line) && line.includes(file)).length
      expect(of(/ pwrite64\(/, '.wal>'), calls.join('\n')).toBe(APPENDS)
      expect(of(/ fdatasync\(/, '.wal>'), calls.join('\n')).toBe(io === 'direct' ? 0 : APPENDS)
      if (io === 'direct') expect(opened).toMatch(/O_DIRECT.*O_DSYNC|O_DSYNC.*O_DIRECT/)
      const marks = of(/ pwrite64\(/, 'mark>')
      expect(
        calls.filter(line => !line.includes('resumed')),
        calls.join('\n'),
      ).toHaveLength(APPENDS + marks + (io === 'direct' ? 0 : APPENDS))
    },
  )
})
