import { expect, test } from 'vitest'
import { BLOCK_PAYLOAD_OFFSET, BLOCK_VERSION, openBlock, sealBlock } from '../../src/codec/block.js'

const MAGIC = 'WALTEST1'

function sealed(features = {}): Uint8Array {
  const block = new Uint8Array(4096)
  for (let i = BLOCK_PAYLOAD_OFFSET; i < 200; i++) block[i] = i & 255
  sealBlock(block, MAGIC, features)
  return block
}

test('a sealed block opens, its payload untouched', () => {
  const block = sealed()
  expect(openBlock(block, MAGIC)).toEqual({ kind: 'ok' })
  expect(block[BLOCK_PAYLOAD_OFFSET]).toBe(BLOCK_PAYLOAD_OFFSET)
  expect(BLOCK_PAYLOAD_OFFSET).toBe(32)
})

test('the drawing: magic, version, features, crc, zeros, payload', () => {
  const head = Buffer.from(sealed({ compatible: 0x80000001 }).subarray(0, 32))
  expect(head.toString('latin1', 0, 8)).toBe(MAGIC)
  expect(head.readUInt32LE(8)).toBe(1)
  expect(head.readUInt32LE(12)).toBe(0x80000001)
  expect(head.readUInt32LE(16)).toBe(0)
  expect(head.readBigUInt64LE(24)).toBe(0n)
})

test('only zeros are blank, whatever the length', () => {
  expect(openBlock(new Uint8Array(4096), MAGIC)).toEqual({ kind: 'blank' })
  expect(openBlock(new Uint8Array(0), MAGIC)).toEqual({ kind: 'blank' })
  for (const at of [0, 8, 20, 31, 32, 4095]) {
    const block = new Uint8Array(4096)
    block[at] = 1
    expect(openBlock(block, MAGIC)).toEqual({ kind: 'corrupt' })
  }
})

test('every flipped bit is corruption, in version and feature fields too', () => {
  const block = sealed({ version: 3, incompatible: 5 })
  for (let bit = 0; bit < 256 * 8; bit++) {
    block[bit >> 3]! ^= 1 << (bit & 7)
    expect(openBlock(block, MAGIC)).toEqual({ kind: 'corrupt' })
    block[bit >> 3]! ^= 1 << (bit & 7)
  }
  block[4095]! ^= 0x80
  expect(openBlock(block, MAGIC)).toEqual({ kind: 'corrupt' })
})

test('cut short, another magic, or version 0 is corruption', () => {
  expect(openBlock(sealed().subarray(0, 4095), MAGIC)).toEqual({ kind: 'corrupt' })
  expect(openBlock(sealed().subarray(0, 20), MAGIC)).toEqual({ kind: 'corrupt' })
  expect(openBlock(sealed(), 'WALTEST2')).toEqual({ kind: 'corrupt' })
  expect(openBlock(sealed({ version: 0 }), MAGIC)).toEqual({ kind: 'corrupt' })
})

test('a whole block of a later version or with an unknown incompatible bit is unsupported', () => {
  const version = BLOCK_VERSION + 1
  expect(openBlock(sealed({ version }), MAGIC)).toEqual({ kind: 'unsupported', version, incompatible: 0 })
  const incompatible = 0x80000000
  expect(openBlock(sealed({ incompatible }), MAGIC)).toEqual({ kind: 'unsupported', version: 1, incompatible })
})

test('compatible bits nobody knows are no reason to refuse', () => {
  expect(openBlock(sealed({ compatible: 0xffffffff }), MAGIC)).toEqual({ kind: 'ok' })
})

test('a block may be a view into a larger buffer', () => {
  const arena = new Uint8Array(9000).fill(7)
  const block = arena.subarray(100, 100 + 4096)
  sealBlock(block, MAGIC)
  expect(openBlock(block, MAGIC)).toEqual({ kind: 'ok' })
  expect(arena[99]).toBe(7)
  expect(arena[100 + 4096]).toBe(7)
})

test('a magic of another length than eight is a programming error', () => {
  expect(() => sealBlock(new Uint8Array(64), 'SHORT')).toThrow(TypeError)
})
