import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { lines } from '../../src/streams/lines.js'

async function linesOf(chunks: (string | Uint8Array)[]): Promise<string[]> {
  const found: string[] = []
  await pipeline(Readable.from(chunks, { objectMode: false }), lines(), async source => {
    for await (const line of source) found.push(line as string)
  })
  return found
}

describe('lines', () => {
  test.each([
    ['nothing', '', []],
    ['one newline', '\n', ['']],
    ['a last line without newline', 'a\nb', ['a', 'b']],
    ['no further line after the last newline', 'a\nb\n', ['a', 'b']],
    ['empty lines are kept', '\n\na\n\n', ['', '', 'a', '']],
    ['CRLF', 'a\r\nb\r\n', ['a', 'b']],
    ['a lone CR is data', 'a\rb\n\r', ['a\rb', '\r']],
    ['only one CR belongs to the newline', 'a\r\r\n', ['a\r']],
    ['characters of several bytes', 'grün\n日本\n👍', ['grün', '日本', '👍']],
  ])('%s', async (_what, input, expected) => {
    expect(await linesOf([input])).toEqual(expected)
  })

  test('cut anywhere, even inside a character or CRLF, the lines are the same', async () => {
    const input = Buffer.from('grün\r\n\r\n日本👍\nlast')
    for (let cut = 1; cut < input.length; cut++) {
      expect(await linesOf([input.subarray(0, cut), input.subarray(cut)])).toEqual(['grün', '', '日本👍', 'last'])
    }
    expect(await linesOf([...input].map(byte => Uint8Array.of(byte)))).toEqual(['grün', '', '日本👍', 'last'])
  })

  test('any text in any pieces', async () => {
    const piece = fc.array(fc.constantFrom('a', 'ü', '👍', '\n', '\r\n')).map(parts => parts.join(''))
    await fc.assert(
      fc.asyncProperty(fc.array(piece), async pieces => {
        const expected = pieces.join('').split(/\r?\n/)
        if (expected.at(-1) === '') expected.pop()
        expect(await linesOf(pieces.filter(text => text !== '').map(text => Buffer.from(text)))).toEqual(expected)
      }),
    )
  })

  test('strings written to it are read as UTF-8', async () => {
    const splitter = lines()
    splitter.end('ü\nb')
    expect(await splitter.toArray()).toEqual(['ü', 'b'])
  })

  test('a line across thousands of chunks takes linear time', async () => {
    const chunk = Buffer.alloc(64, 'x')
    const found = await linesOf([...Array.from({ length: 20_000 }, () => chunk), Buffer.from('\nend')])
    expect(found.map(line => line.length)).toEqual([64 * 20_000, 3])
  })
})
