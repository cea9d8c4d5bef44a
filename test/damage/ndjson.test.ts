import { describe, expect, it } from 'vitest'
import { verifyWal } from '../../src/index.js'
import { directory, type SmallWal } from '../helpers/small-log.js'
import { closedImage, type Files, fillThreeSegments, killedImage, restore, withBitFlipped, withFile } from './image.js'
import { judge, type Outcome, sweep } from './judge.js'

const ALL = process.env['WALRUS_DAMAGE'] === 'all'
/** Prime, so that all bits of a byte have their turn. */
const STRIDE = ALL ? 1 : 5

const NEWLINE = 10

/** Two segments, with data that stand in their lines as JSON and as base64. */
async function fill(wal: SmallWal): Promise<void> {
  await wal.append('{"a":1,"b":"x y"}', { term: 1, timestamp: 5.5 })
  await wal.appendBatch(['"text"', 'no json'])
  await wal.rotate()
  await wal.append('[1,2]')
  await wal.append('last')
}

function* flips(files: Files, path: string) {
  for (let bit = 0; bit < files.get(path)!.length * 8; bit += STRIDE)
    yield { name: `bit ${bit & 7} of byte ${bit >> 3} of ${path}`, files: withBitFlipped(files, path, bit) }
}

function* cuts(files: Files, path: string, from: number) {
  const bytes = files.get(path)!
  for (let length = from; length < bytes.length; length++)
    yield { name: `${path} cut to ${length} bytes`, files: withFile(files, path, bytes.subarray(0, length)) }
}

function isRefused(outcome: Outcome, name: string): void {
  if (outcome.kind !== 'refused') throw new Error(`${name}: ${outcome.kind}`)
  if (outcome.error.code !== 'WAL_CORRUPT') throw new Error(`${name}: ${outcome.error.code}`, { cause: outcome.error })
}

const headerEnd = (files: Files, path: string) => files.get(path)!.indexOf(NEWLINE) + 1

describe('a log in format ndjson', () => {
  it('is refused when one bit of any segment flips', async () => {
    const image = await closedImage(fill, 'ndjson')
    let bits = 0
    for (const path of image.segments) bits += (await sweep(flips(image.files, path), image, isRefused)).refused
    expect(bits).toBeGreaterThan(2000)
    console.log(`bits of ndjson segments flipped, one at a time, each refused: ${bits}`)
  })

  it('is refused when a segment is cut anywhere', async () => {
    const image = await closedImage(fill, 'ndjson')
    for (const path of image.segments) await sweep(cuts(image.files, path, 0), image, isRefused)
  })

  it('whose writer was killed loses no more than its last commit, and says so', async () => {
    const image = await killedImage(fill, { format: 'ndjson' })
    const last = image.segments.at(-1)!
    const start = headerEnd(image.files, last)
    const secondCommit = image.files.get(last)!.indexOf(NEWLINE, start) + 1
    const counts = await sweep(cuts(image.files, last, secondCommit), image, (outcome, name) => {
      if (outcome.kind !== 'left-out' || outcome.read !== 4) throw new Error(`${name}: ${outcome.kind}`)
    })
    expect(counts['left-out']).toBeGreaterThan(50)
    await sweep(flips(image.files, last), image, (outcome, name) => {
      if (outcome.kind === 'whole' || (outcome.kind === 'left-out' && outcome.read !== 4)) throw new Error(name)
    })
  })

  it('whose lines change places is refused', async () => {
    const image = await closedImage(fillThreeSegments, 'ndjson')
    for (const path of image.segments) {
      const lines = image.files.get(path)!.toString('latin1').split('\n').slice(0, -1)
      for (let a = 0; a < lines.length; a++)
        for (let b = a + 1; b < lines.length; b++) {
          const changed = [...lines]
          changed[a] = lines[b]!
          changed[b] = lines[a]!
          const bytes = Buffer.from(`${changed.join('\n')}\n`, 'latin1')
          isRefused(await judge(withFile(image.files, path, bytes), image), `${path}: lines ${a} and ${b}`)
        }
    }
  })

  it('is refused when somebody has edited it by hand, keeping it valid JSON', async () => {
    const image = await closedImage(fill, 'ndjson')
    const [first] = image.segments
    const original = image.files.get(first!)!.toString('latin1')
    for (const [from, to] of [
      ['"a":1', '"a":2'],
      ['"a":1', '"a": 1'],
      ['"term":1', '"term":2'],
      ['"timestamp":5.5', '"timestamp":5.50'],
      ['\n', '\r\n'],
      ['\n', '\n\n'],
      ['"index":2', '"index":02'],
    ] as const) {
      const edited = original.slice(0, -1).replaceAll(from, to)
      expect(edited).not.toBe(original.slice(0, -1))
      isRefused(
        await judge(withFile(image.files, first!, Buffer.from(`${edited}\n`, 'latin1')), image),
        `${from} -> ${to}`,
      )
    }
  })

  it('verifies, and tells where it is damaged', async () => {
    const image = await closedImage(fill, 'ndjson')
    const fs = await restore(image.files)
    expect(await verifyWal(directory, { fileSystem: fs })).toMatchObject({ ok: true, entries: 5 })
    const [first] = image.segments
    const offset = headerEnd(image.files, first!)
    const damaged = await restore(withBitFlipped(image.files, first!, (offset + 12) * 8))
    const { findings, entries } = await verifyWal(directory, { fileSystem: damaged })
    expect(findings).toMatchObject([{ kind: 'corrupt', segment: first, offset, firstIndex: 1, lastIndex: 1 }])
    expect(entries).toBe(4)
  })
})
