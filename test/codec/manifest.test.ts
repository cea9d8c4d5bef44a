import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeManifest,
  decodeMark,
  encodeManifest,
  encodeMark,
  type Manifest,
  type Mark,
} from '../../src/codec/manifest.js'
import { TWO_SLOT_PAYLOAD_MAX_BYTES } from '../../src/file-system/two-slot-file.js'

const count = fc.maxSafeNat()
const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map(id => Buffer.from(id).toString('hex'))
const epoch = fc.record({ counter: count, id: hex(8), startIndex: count })
const time = fc.oneof(fc.double({ noNaN: true }), fc.constantFrom(Infinity, -Infinity))

const manifest: fc.Arbitrary<Manifest> = fc.record({
  logId: hex(16),
  format: fc.constantFrom('binary', 'ndjson'),
  encoding: fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
    .filter(name => Buffer.byteLength(name) <= 64 && name.isWellFormed()),
  firstIndex: count,
  newestId: count,
  epochs: fc.array(epoch, { minLength: 1, maxLength: 100 }),
  closed: fc.boolean(),
  backup: fc.boolean(),
  floor: fc.record({
    segmentId: count,
    offset: count,
    index: count,
    commitOffset: count,
    minTimestamp: time,
    maxTimestamp: time,
    lastTerm: count,
  }),
})

describe('the manifest', () => {
  test('gives back what it was given, and fits into its slot', () => {
    fc.assert(
      fc.property(manifest, given => {
        const bytes = encodeManifest(given)
        expect(bytes.length).toBeLessThanOrEqual(TWO_SLOT_PAYLOAD_MAX_BYTES)
        expect(decodeManifest(bytes)).toEqual(given)
      }),
    )
  })

  test('keeps the latest hundred epochs', () => {
    const [given] = fc.sample(manifest, 1)
    const epochs = Array.from({ length: 250 }, (_, i) => ({ counter: i + 1, id: 'ab'.repeat(8), startIndex: i }))
    const kept = decodeManifest(encodeManifest({ ...(given as Manifest), epochs }))?.epochs
    expect([kept?.length, kept?.[0]?.counter, kept?.at(-1)?.counter]).toEqual([100, 151, 250])
  })

  test('that makes no sense, for all its good checksum, is none', () => {
    const [given] = fc.sample(manifest, 1) as [Manifest]
    const forge = (at: number, value: number) => {
      const bytes = encodeManifest(given)
      bytes.writeUInt32LE(value, at)
      return decodeManifest(bytes)
    }
    expect(forge(16, 9)).toBe(undefined) // a format there is not
    expect(forge(24, 65)).toBe(undefined) // a name that is too long
    expect(forge(168, 0)).toBe(undefined) // no epoch
    expect(forge(168, 101)).toBe(undefined) // more than there can be
    expect(forge(100, 0xffffffff)).toBe(undefined) // a first index beyond the safe integers
  })
})

test('the mark gives back what it was given', () => {
  const mark: fc.Arbitrary<Mark> = fc.record({ logId: hex(16), epoch, segmentId: count, offset: count, index: count })
  fc.assert(
    fc.property(mark, given => {
      expect(decodeMark(encodeMark(given))).toEqual(given)
    }),
  )
})
