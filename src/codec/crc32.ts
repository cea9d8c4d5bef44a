import { crc32 as zlibCrc32 } from 'node:zlib'

/** From about this length on the native call, with the view it needs, is faster than the loop below. */
export const NATIVE_MIN_BYTES = 768

const POLYNOMIAL = 0xedb88320

/** Eight tables of 256: table k holds the CRC of a byte followed by k zero bytes, so that eight bytes fold in one step. */
const TABLES = makeTables()

function makeTables(): Int32Array {
  const tables = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1
    tables[byte] = crc
  }
  for (let i = 256; i < tables.length; i++) {
    const previous = tables[i - 256] as number
    tables[i] = (previous >>> 8) ^ (tables[previous & 255] as number)
  }
  return tables
}

/** As `crc32` of all of `bytes`, by the native call whatever their number: for code that runs too rarely for its loops to be compiled. */
export function crc32OfAll(bytes: Uint8Array, seed = 0): number {
  return zlibCrc32(bytes, seed)
}

/**
 * CRC-32 (IEEE 802.3, as zlib and Ethernet have it) of `bytes[start, end)`, an unsigned number. `seed` is the CRC of the bytes
 * that came before, so a CRC can be taken in pieces; default 0, that of no bytes.
 */
export function crc32(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  if (end - start >= NATIVE_MIN_BYTES) return zlibCrc32(bytes.subarray(start, end), seed)
  const t = TABLES
  let crc = ~seed
  let at = start
  for (const last = end - 8; at <= last; at += 8) {
    crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    crc =
      t[1792 + (crc & 255)]! ^
      t[1536 + ((crc >>> 8) & 255)]! ^
      t[1280 + ((crc >>> 16) & 255)]! ^
      t[1024 + (crc >>> 24)]! ^
      t[768 + bytes[at + 4]!]! ^
      t[512 + bytes[at + 5]!]! ^
      t[256 + bytes[at + 6]!]! ^
      t[bytes[at + 7]!]!
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ t[(crc ^ bytes[at]!) & 255]!
  return ~crc >>> 0
}
