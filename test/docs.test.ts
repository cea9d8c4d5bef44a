import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { runNode, runNodeAside } from './helpers/process.js'
import { assertBuildIsFresh, fromRoot, projectRoot, tsc } from './helpers/project.js'
import { type Snippet, snippetsOf } from './helpers/snippets.js'
import { projectFiles } from './tidy/source.js'

const documents = projectFiles().filter(path => /^(README|docs\/[\w-]+)\.md$/.test(path) && path !== 'docs/API.md')
const snippets = documents.flatMap(path => snippetsOf(path, readFileSync(fromRoot(path), 'utf8')))

/** `README.md:41` is built as build/docs/README.md-41.ts. */
const fileOf = ({ name }: Snippet, ending: string) => fromRoot('build/docs', `${name.replace(':', '-')}.${ending}`)

function compileAll(): Promise<{ ended: unknown; output: string }> {
  rmSync(fromRoot('build/docs'), { recursive: true, force: true })
  for (const snippet of snippets) {
    mkdirSync(dirname(fileOf(snippet, 'ts')), { recursive: true })
    writeFileSync(fileOf(snippet, 'ts'), snippet.code)
  }
  const compilerOptions = { noEmit: false, noUnusedLocals: false, noUnusedParameters: false }
  const config = { extends: '../../tsconfig.json', compilerOptions, include: ['**/*.ts'] }
  writeFileSync(fromRoot('build/docs/tsconfig.json'), JSON.stringify(config))
  return runNode(tsc('-p', fromRoot('build/docs/tsconfig.json')), { cwd: projectRoot, timeoutMs: 50_000 })
}

describe('the code in the documents', () => {
  beforeAll(assertBuildIsFresh)

  // The programs below run what this test has written: tests of a file run in their order.
  it('compiles', async () => {
    if (snippets.length > 0) expect(await compileAll()).toEqual({ ended: 0, output: '' })
  })

  it.each(snippets.filter(({ run }) => run))('$name runs', async snippet => {
    const { ended, output } = await runNodeAside([fileOf(snippet, 'js')], 30_000)
    expect(ended, output).toBe(0)
  })
})

describe('snippetsOf', () => {
  const fence = '```'
  const document = (...lines: string[]) => lines.join('\n').replaceAll('~~~', fence)

  it('takes every block of TypeScript, each at its line', () => {
    const text = document('Text', '~~~ts', 'first()', '~~~', '~~~sh', 'ls', '~~~', '~~~ts no-run', 'second()', '~~~')
    expect(snippetsOf('a.md', text)).toEqual([
      { name: 'a.md:2', code: '\n\nfirst()\nexport {}\n', run: true },
      { name: 'a.md:8', code: '\n\n\n\n\n\n\n\nsecond()\nexport {}\n', run: false },
    ])
  })

  it('joins a block to the one that it continues', () => {
    const text = document('~~~ts', 'first()', '~~~', 'Then', '~~~ts continue', 'second()', '~~~')
    expect(snippetsOf('a.md', text)).toEqual([
      { name: 'a.md:1', code: '\nfirst()\n\n\n\nsecond()\nexport {}\n', run: true },
    ])
  })

  it.each([
    ['a block that nobody would compile', ['~~~js', '~~~'], 'a.md:1: mark this block'],
    ['a flag it does not know', ['~~~ts norun', '~~~'], 'a.md:1: norun is not one of continue, no-run'],
    ['nothing to continue', ['~~~ts continue', '~~~'], 'a.md:1: there is no block to continue'],
  ])('refuses %s', (_, lines, message) => {
    expect(() => snippetsOf('a.md', document(...lines))).toThrow(message)
  })
})
