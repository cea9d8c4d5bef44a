import { beforeAll, describe, expect, it } from 'vitest'
import { runNode } from '../helpers/process.js'
import { assertBuildIsFresh, fromRoot, projectRoot, tsc } from '../helpers/project.js'

describe('consumers killed with SIGKILL', () => {
  beforeAll(async () => {
    assertBuildIsFresh()
    const compiler = tsc('-p', fromRoot('test/consumers/soak/tsconfig.json'))
    expect(await runNode(compiler, { cwd: projectRoot, timeoutMs: 50_000 })).toEqual({ ended: 0, output: '' })
  })

  it('give every entry in order at least once, and exactly once to a view that stores the position', async () => {
    const args = [fromRoot('build/soak-consumers/main.js'), '--seconds', '8']
    const { ended, output } = await runNode(args, { cwd: projectRoot, timeoutMs: 110_000 })
    expect(ended, output).toBe(0)
    expect(output).toMatch(
      / [1-9]\d* kills; [1-9][\d,]* entries, .* 0 left out, 0 out of order; in the view exactly once/,
    )
    console.log(output.trim())
  })
})
