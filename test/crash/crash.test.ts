import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const node = (...args: string[]) => {
  try {
    return execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 })
  } catch (error) {
    // What was found is on standard output; the exit code only says that there is something.
    throw new Error((error as { stdout: string }).stdout, { cause: error })
  }
}

describe('crash exploration', () => {
  // Worker threads want plain JavaScript, and the states are too many for a transforming test runner.
  beforeAll(() => {
    node('node_modules/typescript/bin/tsc', '-p', 'test/crash/tsconfig.json')
  })

  it('finds every promise kept, whenever the power goes or the process dies', () => {
    const states = process.env['CRASH_STATES'] ?? '10000'
    const summary = node('build/crash/test/crash/main.js', '--states', states).trimEnd().split('\n').at(-1)!
    process.stdout.write(`${summary}\n`)
    expect(summary).toMatch(/violations: 0/)
    expect(Number(/explored: (\d+)/.exec(summary)?.[1])).toBeGreaterThanOrEqual(Number(states))
  }, 600_000)
})
