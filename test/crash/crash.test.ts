import { beforeAll, describe, expect, it } from 'vitest'
import { runNode } from '../helpers/process.js'
import { fromRoot, projectRoot, tsc } from '../helpers/project.js'

const MINUTE_MS = 60_000

/** Runs the explorer; prints what it counted, or all it found. */
async function explore(...args: string[]): Promise<string> {
  return run('main.js', ...args)
}

async function run(script: string, ...args: string[]): Promise<string> {
  const program = fromRoot('build/crash/test/crash', script)
  const options = { cwd: projectRoot, timeoutMs: 14 * MINUTE_MS }
  const { ended, output } = await runNode([program, ...args], options)
  expect(ended, output).toBe(0)
  console.log(output.trim())
  return output
}

function counted(what: string, output: string): number {
  return Number(new RegExp(`${what}: (\\d+)`).exec(output)?.[1])
}

describe('the promises of docs/DURABILITY.md', () => {
  // Worker threads want plain JavaScript, and the states are too many for a transforming test runner.
  beforeAll(async () => {
    const compiler = tsc('-p', fromRoot('test/crash/tsconfig.json'))
    expect(await runNode(compiler, { cwd: projectRoot, timeoutMs: MINUTE_MS })).toEqual({ ended: 0, output: '' })
  }, MINUTE_MS)

  it(
    'are kept whenever the power goes or the process dies',
    async () => {
      const states = process.env['CRASH_STATES'] ?? (process.env['CI'] === undefined ? '10000' : '100000')
      const output = await explore('--only', 'crash', '--states', states)
      expect(counted('crash states explored', output)).toBeGreaterThanOrEqual(Number(states))
    },
    15 * MINUTE_MS,
  )

  it(
    'are kept whichever call fails, is closed or aborted at',
    async () => {
      expect(counted('fault points tried', await explore('--only', 'fault'))).toBeGreaterThan(500)
    },
    15 * MINUTE_MS,
  )

  it(
    'are kept when bits flip: the same data or a typed error',
    async () => {
      expect(counted('damages tried', await explore('--only', 'damage'))).toBeGreaterThan(1000)
    },
    15 * MINUTE_MS,
  )

  it(
    'would not seem kept if they were not: every duty that is dropped is noticed',
    async () => {
      expect(await run('control.js')).toMatch(/negative controls caught: (\d+) of \1$/m)
    },
    15 * MINUTE_MS,
  )
})
