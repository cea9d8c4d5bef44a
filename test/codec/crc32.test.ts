import { crc32 as reference } from 'node:zlib'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32 } from '../../src/codec/crc32.js'

test('the check value of CRC-32 (IEEE)', () => {
  expect(crc32(Buffer.from('123456789'), 0, 9)).toBe(0xcbf43926)
})

test('agrees with zlib for any range, length and seed, on both sides of the native threshold', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 2000, size: 'max' }),
      fc.nat(40),
      fc.nat(40),
      fc.integer(),
      (bytes, skip, cut, n) => {
        const start = Math.min(skip, bytes.length)
        const end = Math.max(start, bytes.length - cut)
        const seed = n >>> 0
        // zlib's own function forgets its seed when there are no bytes at all.
        const expected = start === end ? seed : reference(bytes.subarray(start, end), seed)
        expect(crc32(bytes, start, end, seed)).toBe(expected)
      },
    ),
    { numRuns: 500 },
  )
})

test('can be taken in pieces', () => {
  const bytes = Uint8Array.from({ length: 1600 }, (_, i) => (i * 31) & 255)
  const whole = crc32(bytes, 0, bytes.length)
  for (const cut of [0, 1, 7, 8, 767, 768, 769, 1599, 1600]) {
    expect(crc32(bytes, cut, bytes.length, crc32(bytes, 0, cut))).toBe(whole)
  }
})
