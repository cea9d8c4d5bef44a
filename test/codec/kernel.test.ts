import { randomFillSync } from 'node:crypto'
import { crc32 as zlibCrc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { kernel } from '../../src/codec/kernel.js'
import { KERNEL_BASE64 } from '../../src/codec/kernel-binary.js'
import { compileKernel } from '../../wasm/build.mjs'

describe('the checksum kernel', () => {
  it('is what wasm/kernel.assemblyscript compiles to', async () => {
    expect(await compileKernel()).toBe(KERNEL_BASE64)
  })

  it('gives the CRC-32 that zlib gives, at every length and alignment', () => {
    const { stage, crc } = kernel!
    randomFillSync(stage.bytes.subarray(0, 4096))
    fc.assert(
      fc.property(fc.nat(64), fc.integer({ min: 1, max: 2000 }), fc.nat(0xffffffff), (from, length, seed) => {
        const bytes = stage.bytes.subarray(from, from + length)
        expect(crc(stage.address + from, length, seed) >>> 0).toBe(zlibCrc32(bytes, seed))
      }),
      { seed: 20261122 },
    )
  })

  it('counts an index in front as eight little-endian bytes', () => {
    const { stage, indexedCrc } = kernel!
    randomFillSync(stage.bytes.subarray(0, 512))
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.integer({ min: 1, max: 500 }), fc.nat(0xffffffff), (index, length, seed) => {
        const prefix = Buffer.alloc(8)
        prefix.writeBigUInt64LE(BigInt(index))
        const expected = zlibCrc32(stage.bytes.subarray(0, length), zlibCrc32(prefix, seed))
        expect(indexedCrc(stage.address, length, seed, index) >>> 0).toBe(expected)
      }),
      { seed: 20261122 },
    )
  })

  it('hands out memory that begins at a page, for direct writes', () => {
    for (const { address, bytes } of [...kernel!.arenas, kernel!.bounce]) {
      expect(address % 4096).toBe(0)
      expect(bytes.length % 4096).toBe(0)
    }
  })
})
