import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { fromRoot } from './helpers/project.js'
import { projectFiles } from './tidy/source.js'

const page = readFileSync(fromRoot('docs/ERRORS.md'), 'utf8')
const sources = projectFiles().filter(path => path.startsWith('src/'))
const textOf = (path: string) => readFileSync(fromRoot(path), 'utf8')

/** The codes of the union WalErrorCode, as its source lists them. */
const codes = [
  ...(/type WalErrorCode =([^\n]*\n(?: {2}\|.*\n)+)/.exec(textOf('src/errors.ts'))?.[1] ?? '').matchAll(/'(WAL_\w+)'/g),
].map(match => match[1]!)

/** The sections of the page: code, and the message quoted as an example. */
const sections = page
  .split(/^### /m)
  .slice(1)
  .map(text => ({
    code: text.split('\n', 1)[0]!,
    example: /^> (.*)$/m.exec(text)?.[1],
    advice: text.split('\n\n').length,
  }))

/** How much of a message is not values. */
const weight = (message: string) => message.replace(/\$\{[^}]*\}/g, '').length

/** Every template in the sources that could be a message; as a pattern each of its values stands for anything. */
const messages = sources.flatMap(path => [...textOf(path).matchAll(/`([^`\n]{12,})`/g)].map(match => match[1]!))
const patternOf = (message: string) =>
  new RegExp(
    `${message
      .split(/\$\{[^}]*\}/)
      .map(text => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('.+')}`,
  )

describe('docs/ERRORS.md', () => {
  it('has a section for each code, and for nothing else', () => {
    expect(codes.length).toBeGreaterThan(20)
    expect(sections.map(({ code }) => code).sort()).toEqual([...codes].sort())
  })

  it.each(sections)('says of $code when it comes and what to do', ({ advice }) => {
    expect(advice).toBeGreaterThanOrEqual(3)
  })

  it.each(
    sections.filter(({ code }) =>
      sources.some(path => !/errors|types/.test(path) && textOf(path).includes(`'${code}'`)),
    ),
  )('quotes a message of $code that the sources hold', ({ example }) => {
    expect(example).toBeDefined()
    const fits = (message: string) => patternOf(message).exec(example!)?.[0].length === example!.length
    const found = messages.filter(message => weight(message) >= 0.4 * example!.length && fits(message))
    expect(found, example).not.toEqual([])
  })
})
