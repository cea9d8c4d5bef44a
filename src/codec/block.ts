import { crc32, crc32OfAll } from './crc32.js'

/**
 * The envelope of every fixed-size block this library writes: a segment's header, a slot of a manifest, mark or checkpoint
 * file. It answers, the same way for all of them, whether a block is ours, whole, and of a kind this version may touch.
 *
 * ```
 *  0        8         12           16             20    24        32                 end
 *  | magic  | version | compatible | incompatible | crc | zeros   | payload ...       |
 *  | 8 ASCII| u32     | u32        | u32          | u32 | 8 bytes |                   |
 * ```
 *
 * Little endian. `crc` is the CRC-32 of the whole block but those four bytes. A reader ignores `compatible` bits it does not
 * know and refuses `incompatible` ones. This drawing itself never changes, whatever `version` says, so that an older reader
 * can always tell a newer block from a damaged one.
 */
const MAGIC_BYTES = 8
const VERSION_OFFSET = MAGIC_BYTES
const COMPATIBLE_OFFSET = VERSION_OFFSET + 4
const INCOMPATIBLE_OFFSET = COMPATIBLE_OFFSET + 4
const CRC_OFFSET = INCOMPATIBLE_OFFSET + 4
const RESERVED_OFFSET = CRC_OFFSET + 4
const RESERVED_BYTES = 8

/** Where the payload of a block starts. */
export const BLOCK_PAYLOAD_OFFSET = RESERVED_OFFSET + RESERVED_BYTES

/** The version this library writes, and the highest it reads. */
export const BLOCK_VERSION = 1

/** The incompatible feature bits this library understands: none yet. */
const KNOWN_INCOMPATIBLE = 0

export type BlockState =
  | { kind: 'ok' }
  /** Nothing but zeros: never written. */
  | { kind: 'blank' }
  /** Torn, rotten, or not this kind of block. */
  | { kind: 'corrupt' }
  /** Whole, but of a later version or with a feature that must not be ignored. */
  | { kind: 'unsupported'; version: number; incompatible: number }

/** What goes into the envelope; anything but the defaults is for tests that forge blocks of other versions. */
export interface BlockFeatures {
  version?: number
  compatible?: number
  incompatible?: number
}

/** Fills in the envelope around a payload that already lies at BLOCK_PAYLOAD_OFFSET. `magic` is eight ASCII characters. */
export function sealBlock(block: Uint8Array, magic: string, features: BlockFeatures = {}): void {
  if (magic.length !== MAGIC_BYTES) throw new TypeError(`A block's magic has ${MAGIC_BYTES} characters, got '${magic}'`)
  for (let i = 0; i < MAGIC_BYTES; i++) block[i] = magic.charCodeAt(i)
  const view = viewOf(block)
  view.setUint32(VERSION_OFFSET, features.version ?? BLOCK_VERSION, true)
  view.setUint32(COMPATIBLE_OFFSET, features.compatible ?? 0, true)
  view.setUint32(INCOMPATIBLE_OFFSET, features.incompatible ?? 0, true)
  block.fill(0, RESERVED_OFFSET, BLOCK_PAYLOAD_OFFSET)
  view.setUint32(CRC_OFFSET, checksumOf(block), true)
}

/** Judges a block; only of an 'ok' one may the payload be looked at. */
export function openBlock(block: Uint8Array, magic: string): BlockState {
  if (isBlank(block)) return { kind: 'blank' }
  if (block.length < BLOCK_PAYLOAD_OFFSET || !hasMagic(block, magic)) return { kind: 'corrupt' }
  const view = viewOf(block)
  if (view.getUint32(CRC_OFFSET, true) !== checksumOf(block)) return { kind: 'corrupt' }
  const version = view.getUint32(VERSION_OFFSET, true)
  const incompatible = view.getUint32(INCOMPATIBLE_OFFSET, true)
  if (version > BLOCK_VERSION || (incompatible & ~KNOWN_INCOMPATIBLE) !== 0) {
    return { kind: 'unsupported', version, incompatible }
  }
  return version === 0 ? { kind: 'corrupt' } : { kind: 'ok' }
}

function isBlank(block: Uint8Array): boolean {
  for (let i = 0; i < block.length; i++) if (block[i] !== 0) return false
  return true
}

function hasMagic(block: Uint8Array, magic: string): boolean {
  for (let i = 0; i < MAGIC_BYTES; i++) if (block[i] !== magic.charCodeAt(i)) return false
  return true
}

/** Views of a block are dear where thousands of them are checked, so the usual ones are copied to where the views are made already. */
const usual = new Uint8Array(4096)
const usualHead = usual.subarray(0, CRC_OFFSET)
const usualRest = usual.subarray(RESERVED_OFFSET)

function checksumOf(block: Uint8Array): number {
  if (block.length !== usual.length) return crc32(block, RESERVED_OFFSET, block.length, crc32(block, 0, CRC_OFFSET))
  usual.set(block)
  return crc32OfAll(usualRest, crc32OfAll(usualHead))
}

function viewOf(block: Uint8Array): DataView {
  return new DataView(block.buffer, block.byteOffset, block.byteLength)
}
