import { describe, expect, it } from 'vitest'
import { openBlock } from '../../src/codec/block.js'
import { MANIFEST_MAGIC, MARK_MAGIC } from '../../src/codec/manifest.js'
import { decodeSegmentHeader } from '../../src/codec/segment-header.js'
import { directory } from '../helpers/small-log.js'
import { closedImage, type Files, type Image, killedImage, withBitFlipped } from './image.js'
import { type Outcome, sweep } from './judge.js'

/** All bits of all files through an open and a replay, some minutes; else those that no codec test settles. */
const ALL = process.env['WALRUS_DAMAGE'] === 'all'
const HEADER_BYTES = 4096
/** Prime, so that all bits of a byte have their turn. */
const STRIDE = ALL ? 1 : 131

function* flips(files: Files, path: string, from: number, to: number, step = 1) {
  for (let bit = from * 8; bit < to * 8; bit += step)
    yield { name: `bit ${bit & 7} of byte ${bit >> 3} of ${path}`, files: withBitFlipped(files, path, bit) }
}

function isWhole(outcome: Outcome, name: string): void {
  if (outcome.kind !== 'whole') throw new Error(`${name}: ${outcome.kind}`, { cause: outcome })
}

function isRefused(outcome: Outcome, name: string): void {
  if (outcome.kind !== 'refused') throw new Error(`${name}: ${outcome.kind}`)
  if (outcome.error.code !== 'WAL_CORRUPT') throw new Error(`${name}: ${outcome.error.code}`, { cause: outcome.error })
}

const bitsOf = (image: Image, path: string) => (image.files.get(path)!.length - HEADER_BYTES) * 8

describe('one bit of a log that was closed in order flips', () => {
  it('in the commits of any segment: a typed error, after none but right entries', async () => {
    const image = await closedImage()
    let bits = 0
    for (const path of image.segments) {
      const { refused } = await sweep(
        flips(image.files, path, HEADER_BYTES, image.files.get(path)!.length),
        image,
        isRefused,
      )
      bits += refused
    }
    expect(bits).toBe(image.segments.reduce((sum, path) => sum + bitsOf(image, path), 0))
    console.log(`bits of commits flipped, one at a time, each refused: ${bits}`)
  })

  it('in a header of a segment: not one is taken for another header', async () => {
    const image = await closedImage()
    for (const path of image.segments) {
      const page = Buffer.from(image.files.get(path)!.subarray(0, HEADER_BYTES))
      for (let bit = 0; bit < HEADER_BYTES * 8; bit++) {
        page[bit >> 3]! ^= 1 << (bit & 7)
        if (decodeSegmentHeader(page).kind !== 'corrupt') throw new Error(`bit ${bit} of ${path} is not noticed`)
        page[bit >> 3]! ^= 1 << (bit & 7)
      }
      expect(decodeSegmentHeader(page).kind).toBe('ok')
      await sweep(flips(image.files, path, 0, HEADER_BYTES, STRIDE), image, isRefused)
    }
    console.log(`bits of headers flipped, each noticed: ${image.segments.length * HEADER_BYTES * 8}`)
  })

  it('in the manifest or the mark: the other slot has the same', async () => {
    const image = await closedImage()
    for (const [name, magic] of [
      ['manifest', MANIFEST_MAGIC],
      ['mark', MARK_MAGIC],
    ] as const) {
      const path = `${directory}/${name}`
      const bytes = Buffer.from(image.files.get(path)!)
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const slot = bytes.subarray((bit >> 3) & ~4095, ((bit >> 3) & ~4095) + 4096)
        bytes[bit >> 3]! ^= 1 << (bit & 7)
        if (openBlock(slot, magic).kind !== 'corrupt') throw new Error(`bit ${bit} of ${path} is not noticed`)
        bytes[bit >> 3]! ^= 1 << (bit & 7)
      }
      await sweep(flips(image.files, path, 0, bytes.length, STRIDE), image, isWhole)
    }
  })
})

describe('one bit of a log whose writer was killed flips', () => {
  it('only the last commit may be left out, and that is reported', async () => {
    const image = await killedImage()
    const last = image.segments.at(-1)!
    const counts = await sweep(
      flips(image.files, last, HEADER_BYTES, image.files.get(last)!.length, ALL ? 1 : 3),
      image,
      outcome => {
        if (outcome.kind !== 'left-out') return
        expect(outcome.read).toBe(image.entries.length - 2)
        expect(outcome.report).toMatchObject({ clean: false, cutPath: last, cutFromIndex: outcome.read + 1 })
      },
    )
    expect(counts.whole).toBe(0)
    expect(counts['left-out']).toBeGreaterThan(100)
    expect(counts.refused).toBeGreaterThan(100)
  })

  it('nothing is left out when recovery is strict', async () => {
    const image = await killedImage()
    const last = image.segments.at(-1)!
    const damages = flips(image.files, last, HEADER_BYTES, image.files.get(last)!.length, ALL ? 1 : 17)
    await sweep(damages, image, isRefused, { recovery: 'strict' })
  })
})
