import { describe, expect, it } from 'vitest'
import { closedImage, fillThreeSegments, type Image, killedImage, withBitFlipped, withFile } from './image.js'
import { judge, type Outcome, sweep } from './judge.js'

const NEWLINE = 10
/** Prime, so that all bits of a byte have their turn. */
const STRIDE = process.env['WALRUS_DAMAGE'] === 'all' ? 1 : 53

const closed = () => closedImage(fillThreeSegments, 'ndjson')
const killed = (withMark = false) => killedImage(fillThreeSegments, { format: 'ndjson', withMark })

const linesOf = (bytes: Buffer) => bytes.toString('latin1').trimEnd().split('\n')
const fileOf = (lines: readonly string[]) => Buffer.from(`${lines.join('\n')}\n`, 'latin1')

function isRefused(outcome: Outcome, name: string): void {
  if (outcome.kind !== 'refused') throw new Error(`${name}: ${outcome.kind}`)
  if (outcome.error.code !== 'WAL_CORRUPT') throw new Error(`${name}: ${outcome.error.code}`, { cause: outcome.error })
}

describe('behind the end of an ndjson log', () => {
  const tails = (image: Image): [string, Buffer][] => {
    const first = linesOf(image.files.get(image.segments[0]!)!)
    return [
      ['zeros', Buffer.alloc(10_000)],
      ['no newline', Buffer.alloc(10_000, 'x')],
      ['newlines', Buffer.alloc(10_000, NEWLINE)],
      ['bytes of all kinds', Buffer.from(Array.from({ length: 10_000 }, (_, i) => (i * 7919) >> 3))],
      ['lines of JSON', Buffer.from('{"index":16}\n'.repeat(500))],
      ['a header', fileOf(first.slice(0, 1))],
      ['commits of an older segment', fileOf(first.slice(1))],
      ['its own last lines again', fileOf(linesOf(image.files.get(image.segments.at(-1)!)!).slice(-3))],
    ]
  }

  it.each([
    ['closed in order', closed],
    ['killed', () => killed()],
  ])('%s: nothing that stands there becomes part of it', async (_, make) => {
    const image = await make()
    const path = image.segments.at(-1)!
    for (const [name, tail] of tails(image)) {
      const files = withFile(image.files, path, Buffer.concat([image.files.get(path)!, tail]))
      expect([name, await judge(files, image)]).toEqual([name, { kind: 'whole' }])
    }
  })
})

describe('an ndjson log whose lines are damaged', () => {
  it('is refused up to the last of them when the mark says how far it was durable', async () => {
    const image = await killed(true)
    const path = image.segments.at(-1)!
    function* flips() {
      for (let bit = 0; bit < image.files.get(path)!.length * 8; bit += STRIDE)
        yield { name: `bit ${bit}`, files: withBitFlipped(image.files, path, bit) }
    }
    await sweep(flips(), image, isRefused)
  })

  it.each([
    ['one is left out', (lines: string[]) => lines.filter((_, i) => i !== 2)],
    ['one is there twice', ([header, one, ...rest]: string[]) => [header!, one!, one!, ...rest]],
    ['an empty one comes in', ([header, ...rest]: string[]) => [header!, '', ...rest]],
  ])('is refused: %s', async (_, edit) => {
    const image = await closed()
    for (const path of image.segments) {
      const bytes = fileOf(edit(linesOf(image.files.get(path)!)))
      isRefused(await judge(withFile(image.files, path, bytes), image), path)
    }
  })

  it('is refused when lines of one segment stand in the place of those of another', async () => {
    const image = await closed()
    const [first, second, last] = image.segments.map(path => linesOf(image.files.get(path)!))
    const mixed: [number, string[]][] = [
      [0, [first![0]!, ...second!.slice(1)]],
      [1, [second![0]!, ...last!.slice(1)]],
      [2, [last![0]!, ...first!.slice(1)]],
      [2, [first![0]!, ...last!.slice(1)]],
    ]
    for (const [place, lines] of mixed)
      isRefused(await judge(withFile(image.files, image.segments[place]!, fileOf(lines)), image), `${place}`)
  })
})
