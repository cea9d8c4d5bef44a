import { readdirSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { runNode, runNodeAside } from './helpers/process.js'
import { assertBuildIsFresh, fromRoot, projectRoot, tsc } from './helpers/project.js'

/** `NN-name.ts` is an example; a file without a number is a part of one. */
const sources = readdirSync(fromRoot('examples')).filter(name => name.endsWith('.ts'))
const examples = sources.filter(name => /^\d/.test(name))

describe('the examples', () => {
  beforeAll(async () => {
    assertBuildIsFresh()
    if (sources.length === 0) return
    const compiler = tsc('-p', fromRoot('examples/tsconfig.json'))
    expect(await runNode(compiler, { cwd: projectRoot, timeoutMs: 50_000 })).toEqual({ ended: 0, output: '' })
  })

  it('have a number each and a name', () => {
    expect(examples.filter(name => !/^\d\d-[a-z\d-]+\.ts$/.test(name))).toEqual([])
    expect(new Set(examples.map(name => name.slice(0, 2))).size).toBe(examples.length)
  })

  it.each(examples)('%s runs', async name => {
    const program = fromRoot('build/examples', name.replace(/\.ts$/, '.js'))
    const { ended, output } = await runNodeAside([program], 60_000)
    expect(ended, output).toBe(0)
  })
})
