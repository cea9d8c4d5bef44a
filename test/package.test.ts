import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Consumer } from './helpers/consumer.js'
import { tsc } from './helpers/project.js'

let consumer: Consumer
beforeAll(() => {
  consumer = new Consumer()
})
afterAll(() => consumer.remove())

/** Prints whether any file of rxjs has been loaded; in Node.js both `import` and `require` take its CommonJS build. */
const printWhetherRxjsIsLoaded = `
  const { createRequire } = await import('node:module')
  const loaded = Object.keys(createRequire(process.cwd() + '/x.js').cache)
  console.log(loaded.some(path => /[\\\\/]rxjs[\\\\/]/.test(path)) ? 'rxjs' : 'no rxjs')
`
const run = (program: string) => consumer.node('--input-type=module', '--eval', program)

describe('the installed package', () => {
  it('can be imported', () => {
    const program = `import { WalError } from 'walrus-wal'; console.log(new WalError('WAL_CLOSED', 'Done.').code)`
    expect(run(program)).toEqual({ status: 0, output: 'WAL_CLOSED' })
  })

  it('can be required, without a warning, and is the same module then', () => {
    const program = `import('walrus-wal').then(module => console.log(module.WalError === require('walrus-wal').WalError))`
    expect(consumer.node('--input-type=commonjs', '--eval', program)).toEqual({ status: 0, output: 'true' })
  })

  it.each(['walrus-wal', 'walrus-wal/testing'])('does not need rxjs: %s', specifier => {
    expect(run(`await import('${specifier}')\n${printWhetherRxjsIsLoaded}`)).toEqual({ status: 0, output: 'no rxjs' })
  })

  it.each(['walrus-wal/dist/errors.js', 'walrus-wal/codec/crc32'])('hides what is internal: %s', specifier => {
    expect(run(`await import('${specifier}')`).output).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED')
  })
})

describe('the installed package beside rxjs', () => {
  beforeAll(() => consumer.addPackageWithDependencies('rxjs'))

  it.each(['walrus-wal', 'walrus-wal/testing'])('does not load it: %s', specifier => {
    expect(run(`await import('${specifier}')\n${printWhetherRxjsIsLoaded}`).output).toBe('no rxjs')
  })

  it('would be seen loading it', () => {
    expect(run(`await import('rxjs')\n${printWhetherRxjsIsLoaded}`).output).toBe('rxjs')
  })

  it('offers walrus-wal/rxjs', () => {
    expect(run(`await import('walrus-wal/rxjs')`)).toEqual({ status: 0, output: '' })
  })
})

describe('a TypeScript program that uses the installed package', () => {
  const compile = (program: string) => {
    consumer.write('program.ts', program)
    const options = '--noEmit --strict --skipLibCheck false --target es2023 --lib es2023,esnext.disposable'.split(' ')
    return consumer.node(...tsc(...options, '--module', 'nodenext', '--types', 'node', 'program.ts'))
  }
  beforeAll(() => consumer.addPackageWithDependencies('@types/node'))

  it('compiles with the types of Node.js alone beside it, all declarations checked', () => {
    const program = `
      import { WalError, type Entry, type EntryStream, type Wal } from 'walrus-wal'
      import type { FileSystem } from 'walrus-wal/testing'
      import { pipeline } from 'node:stream/promises'
      export const data = (entry: Entry<string>, fileSystem?: FileSystem): string => entry.data + String(fileSystem)
      export const isClosed = (error: unknown): boolean => error instanceof WalError && error.code === 'WAL_CLOSED'
      export const copy = (from: EntryStream<string>, to: Wal<string>): Promise<void> => pipeline(from, to.transform(), to.writable())
      export const print = async (wal: Wal<string>): Promise<void> => {
        for await (const entry of wal.tail({ from: 'end' })) console.log(entry.index.toFixed(), entry.data.trim())
      }
    `
    expect(compile(program)).toEqual({ status: 0, output: '' })
  })

  it('compiles with walrus-wal/rxjs where rxjs is installed', () => {
    consumer.addPackageWithDependencies('rxjs')
    expect(compile(`export * from 'walrus-wal/rxjs'`)).toEqual({ status: 0, output: '' })
  })

  it('is told of its mistakes', () => {
    const program = `import type { Entry } from 'walrus-wal'; export const data = (entry: Entry<string>): number => entry.data`
    expect(compile(program)).toMatchObject({ status: 1, output: expect.stringContaining('TS2322') })
  })
})
