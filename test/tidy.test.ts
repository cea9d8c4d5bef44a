import { describe, expect, it } from 'vitest'
import { importViolations, valueImportCycles } from './tidy/imports.js'
import { purityViolations } from './tidy/purity.js'
import { maxFileLines, maxFunctionLines, maxTestFileLines, sizeViolations } from './tidy/sizes.js'
import exceptions from './tidy/sizes.json' with { type: 'json' }
import { isCode, parse, projectFiles, readProjectFile, type Source } from './tidy/source.js'
import { wordViolations } from './tidy/words.js'

/** Made by tools, or other people's words kept as they are. */
const notOurWords = ['package-lock.json', 'bench/package-lock.json', 'bench/go/go.sum']

const files = projectFiles()
const code = files.filter(isCode).map(path => parse(readProjectFile(path)))
const sources = code.filter(({ path }) => path.startsWith('src/'))

describe('the project is tidy', () => {
  it('looks at the sources at all', () => {
    expect(sources.length).toBeGreaterThan(5)
    expect(sources.flatMap(source => source.imports).length).toBeGreaterThan(5)
  })

  it('imports only what the table allows', () => {
    expect(importViolations(sources)).toEqual([])
  })

  it('has no circle of value imports', () => {
    expect(valueImportCycles(sources)).toEqual([])
  })

  it('keeps time and promises out of where they do not belong', () => {
    expect(purityViolations(sources)).toEqual([])
  })

  it('has no file or function over the limits, but those listed', () => {
    expect(sizeViolations(code, exceptions)).toEqual([])
  })

  it('holds no unfinished marks, machine paths or registry addresses', () => {
    const texts = files.filter(path => !notOurWords.includes(path)).map(readProjectFile)
    expect(texts.flatMap(wordViolations)).toEqual([])
  })
})

describe('the import rule finds', () => {
  const violations = (path: string, text: string) => importViolations([parse({ path, text })])

  it('a folder that reaches upwards', () => {
    expect(violations('src/codec/a.ts', `import { b } from '../segments/b.js'`)).toEqual([
      'src/codec/a.ts must not import segments/b: the import table does not allow it',
    ])
    expect(violations('src/segments/a.ts', `import { b } from '../file-system/node.js'`)).toHaveLength(1)
    expect(violations('src/streams/a.ts', `import type { b } from '../log/b.js'`)).toHaveLength(1)
    expect(violations('src/streams/a.ts', `export const load = () => import('../log/b.js')`)).toHaveLength(1)
    expect(violations('src/streams/a.ts', `export type B = import('../log/b.js').B`)).toHaveLength(1)
    expect(violations('src/errors.ts', `export * from './codec/b.js'`)).toHaveLength(1)
  })

  it('nothing in what the table allows', () => {
    expect(violations('src/log/a.ts', `import { b } from '../segments/b.js'`)).toEqual([])
    expect(violations('src/log/a.ts', `import { b } from './b.js'`)).toEqual([])
    expect(violations('src/consumers/a.ts', `import { b } from '../file-system/two-slot-file.js'`)).toEqual([])
    expect(violations('src/open.ts', `import { b } from './file-system/node.js'`)).toEqual([])
    expect(violations('src/index.ts', `export { openWal } from './open.js'`)).toEqual([])
  })

  it('an import of a composition root or an entry point', () => {
    expect(violations('src/wal.ts', `import { openWal } from './open.js'`)).toHaveLength(1)
    expect(violations('src/open.ts', `import { verifyWal } from './verify.js'`)).toHaveLength(1)
    expect(violations('src/cli/dump.ts', `import { openWal } from '../index.js'`)).toHaveLength(1)
    expect(violations('src/cli/dump.ts', `import { openWal } from '../open.js'`)).toEqual([])
  })

  it('a module without a row', () => {
    expect(violations('src/utilities/a.ts', '')).toHaveLength(1)
  })

  it('logic in an entry point', () => {
    expect(violations('src/index.ts', 'export const answer = 42')).toHaveLength(1)
  })

  it('node:fs outside of the file system and rxjs outside of its adapter', () => {
    expect(violations('src/file-system/node.ts', `import { open } from 'node:fs/promises'`)).toEqual([])
    expect(violations('src/open.ts', `import { open } from 'node:fs/promises'`)).toEqual([
      'src/open.ts must not import node:fs/promises: only file-system/node and file-system/lock may',
    ])
    expect(violations('src/streams/rxjs.ts', `import { Observable } from 'rxjs'`)).toEqual([])
    expect(violations('src/wal.ts', `import type { Observable } from 'rxjs'`)).toHaveLength(1)
  })
})

describe('the circle rule finds', () => {
  const circle = (...texts: string[]) =>
    valueImportCycles(texts.map((text, index) => parse({ path: `src/log/${'abc'[index]}.ts`, text })))

  it('a circle of values, through any number of modules', () => {
    expect(circle(`import { b } from './b.js'`, `import { a } from './a.js'`)).toEqual(['log/a -> log/b -> log/a'])
    expect(circle(`import './b.js'`, `export * from './c.js'`, `import { a } from './a.js'`)).toHaveLength(1)
  })

  it('no circle where one side is a type', () => {
    expect(circle(`import { b } from './b.js'`, `import type { a } from './a.js'`)).toEqual([])
    expect(circle(`export { b } from './b.js'`, `export type * from './a.js'`)).toEqual([])
  })
})

describe('the purity rule finds', () => {
  const violations = (path: string, text: string) => purityViolations([parse({ path, text })])

  it('a clock or timer that is not injected', () => {
    expect(violations('src/log/a.ts', 'export const at = Date.now()')).toEqual([
      'src/log/a.ts must not use the clock or a timer by itself: take a Clock',
    ])
    expect(violations('src/log/a.ts', 'setTimeout(work, 10)')).toHaveLength(1)
    expect(violations('src/log/a.ts', '// Not Date.now(), that is injected.\nwork(clock.now())')).toEqual([])
    expect(violations('src/clock.ts', 'export const at = Date.now()')).toEqual([])
  })

  it('a promise in the codec', () => {
    expect(violations('src/codec/a.ts', 'export async function read() {}')).toHaveLength(1)
    expect(violations('src/codec/a.ts', 'export const read = () => new Promise(start)')).toHaveLength(1)
    expect(violations('src/codec/a.ts', 'export const isPromise = (value: object | Promise<void>) => value')).toEqual(
      [],
    )
    expect(violations('src/log/a.ts', 'export async function read() {}')).toEqual([])
  })
})

describe('the size rule finds', () => {
  const lines = (count: number) => Array.from({ length: count }, (_, line) => `  use(${line})`).join('\n')
  const fileOf = (count: number, path = 'src/a.ts'): Source => parse({ path, text: lines(count) })
  const functionOf = (count: number, text = lines(count - 2)): Source =>
    parse({ path: 'src/a.ts', text: `function work() {\n${text}\n}` })

  it('a file or a function over its limit', () => {
    expect(sizeViolations([fileOf(maxFileLines)], {})).toEqual([])
    expect(sizeViolations([fileOf(maxFileLines + 1)], {})).toHaveLength(1)
    expect(sizeViolations([fileOf(maxTestFileLines, 'test/a.test.ts')], {})).toEqual([])
    expect(sizeViolations([fileOf(maxTestFileLines + 1, 'test/a.test.ts')], {})).toHaveLength(1)
    expect(sizeViolations([functionOf(maxFunctionLines)], {})).toEqual([])
    expect(sizeViolations([functionOf(maxFunctionLines + 1)], {})).toEqual([
      'src/a.ts work has 61 lines of code, 60 are allowed: split it',
    ])
  })

  it('no fault with comments and blank lines, nor with a list of tests', () => {
    const comments = '// Why.\n\n/* And\nso on */\n'.repeat(maxFileLines)
    expect(sizeViolations([functionOf(1, comments)], {})).toEqual([])
    expect(sizeViolations([functionOf(1, `${lines(100)}\nit.each([1])('counts', () => {})`)], {})).toEqual([])
  })

  it('an exception that grew, shrank or is no longer needed', () => {
    const allowed = { 'src/a.ts': 500 }
    expect(sizeViolations([fileOf(500)], allowed)).toEqual([])
    expect(sizeViolations([fileOf(501)], allowed)).toEqual([
      'src/a.ts has 501 lines of code, 500 are allowed: split it',
    ])
    expect(sizeViolations([fileOf(450)], allowed)).toEqual([
      'src/a.ts is down to 450 lines of code: lower its exception from 500',
    ])
    expect(sizeViolations([fileOf(10)], allowed)).toEqual([
      'src/a.ts needs no exception any more: remove it from the list',
    ])
    expect(sizeViolations([], allowed)).toHaveLength(1)
  })
})

describe('the word rule finds', () => {
  const found = (path: string, text: string) => wordViolations({ path, text }).length

  it('unfinished marks', () => {
    expect(wordViolations({ path: 'src/a.ts', text: `const a = 1\n// ${'TO' + 'DO'}: more` })).toEqual([
      `src/a.ts:2 holds an unfinished mark: // ${'TO' + 'DO'}: more`,
    ])
    expect(found('README.md', 'to do')).toBe(0)
  })

  it('paths of one machine', () => {
    expect(found('src/a.ts', `open('${'/wo' + 'rk'}/log')`)).toBe(1)
    expect(found('src/a.ts', `import { a } from './log${'/wo' + 'rk'}/a.js'`)).toBe(0)
    expect(found('docs/GUIDE.md', `cd ${'/ho' + 'me'}/me/project`)).toBe(1)
    expect(found('docs/GUIDE.md', 'cd /var/lib/orders')).toBe(0)
  })

  it('addresses of registries', () => {
    expect(found('package.json', 'https://registry.example.org/')).toBe(1)
  })

  it('tests and checks that are switched off', () => {
    expect(found('test/a.test.ts', `it.${'skip'}('works')`)).toBe(1)
    expect(found('test/a.test.ts', `it.skipIf(isWindows)('works')`)).toBe(0)
    expect(found('src/a.ts', '// @ts-ignore')).toBe(1)
  })
})
