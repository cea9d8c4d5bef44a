import { crc32 } from './crc32.js'

const HIGH = 4294967296
const scratch = Buffer.alloc(8)

/** Writes a safe integer as a little-endian u64 at `word` (index of a 32-bit word). */
export function writeU64(words: Int32Array, word: number, value: number): void {
  words[word] = value
  words[word + 1] = value < HIGH ? 0 : Math.floor(value / HIGH)
}

/** Reads a little-endian u64. Beyond 2^53 the result is inexact, and so not a safe integer: callers that trust nothing check. */
export function readU64(words: Int32Array, word: number): number {
  const low = words[word]! >>> 0
  const high = words[word + 1]!
  return high === 0 ? low : low + (high >>> 0) * HIGH
}

/** The CRC of what came before (`seed`) continued over `value` as a little-endian u64. */
export function indexSeed(value: number, seed: number): number {
  const high = value < HIGH ? 0 : Math.floor(value / HIGH)
  scratch[0] = value
  scratch[1] = value >>> 8
  scratch[2] = value >>> 16
  scratch[3] = value >>> 24
  scratch[4] = high
  scratch[5] = high >>> 8
  scratch[6] = high >>> 16
  scratch[7] = high >>> 24
  return crc32(scratch, 0, 8, seed)
}
