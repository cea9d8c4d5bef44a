import { BLOCK_PAYLOAD_OFFSET, openBlock, sealBlock } from './block.js'
import type { HeaderOutcome, Predecessor, SegmentHeader } from './format.js'
import { viewMemory } from './memory.js'
import { readU64 } from './u64.js'

/** The segment header fills the first page of the file; commits follow. */
export const SEGMENT_HEADER_BYTES = 4096
const SEGMENT_MAGIC = 'WALRUSSG'
const ENCODING_NAME_MAX_BYTES = 64

/*
 * Byte drawing, behind the 32 bytes of the block's envelope (block.ts). Little endian; u64 unless said otherwise.
 *
 *    32 log id (16)            48 segment id          56 first index          64 epoch counter
 *    72 epoch id (8)           80 epoch start index   88 format u32, flags u32
 *    96 encoding name (u32 length, then 64 bytes)    168 largest entry       176 largest batch
 *   184 salt (16)             200 created at f64     208 published end       216 published last index
 *   224 gap first index       232 gap last index
 *   240 predecessor: id       248 end offset         256 last index          264 CRC of last commit u32, zero u32
 *   272 least timestamp f64   280 largest timestamp f64   288 sealed at f64     296 last term
 */
const AT = {
  logId: BLOCK_PAYLOAD_OFFSET,
  id: 48,
  firstIndex: 56,
  epochCounter: 64,
  epochId: 72,
  epochStart: 80,
  format: 88,
  flags: 92,
  encodingLength: 96,
  encoding: 100,
  maxEntry: 168,
  maxBatch: 176,
  salt: 184,
  createdAt: 200,
  publishedEnd: 208,
  publishedLast: 216,
  gapFirst: 224,
  gapLast: 232,
  predecessor: 240,
} as const

const FLAG_BEGINS = 1
const FLAG_GAP = 2
const FORMAT_BINARY = 1

export function encodeSegmentHeader(header: SegmentHeader): Buffer {
  const block = Buffer.alloc(SEGMENT_HEADER_BYTES)
  const name = Buffer.from(header.encoding, 'utf8')
  block.write(header.logId, AT.logId, 16, 'hex')
  putU64(block, AT.id, header.id)
  putU64(block, AT.firstIndex, header.firstIndex)
  putU64(block, AT.epochCounter, header.epoch.counter)
  block.write(header.epoch.id, AT.epochId, 8, 'hex')
  putU64(block, AT.epochStart, header.epoch.startIndex)
  block.writeUInt32LE(FORMAT_BINARY, AT.format)
  block.writeUInt32LE((header.begins ? FLAG_BEGINS : 0) | (header.gap === undefined ? 0 : FLAG_GAP), AT.flags)
  block.writeUInt32LE(name.length, AT.encodingLength)
  name.copy(block, AT.encoding)
  putU64(block, AT.maxEntry, header.maxEntryBytes)
  putU64(block, AT.maxBatch, header.maxBatchBytes)
  block.write(header.salt, AT.salt, 16, 'hex')
  block.writeDoubleLE(header.createdAt, AT.createdAt)
  putU64(block, AT.publishedEnd, header.publishedEnd)
  putU64(block, AT.publishedLast, header.publishedLastIndex)
  putU64(block, AT.gapFirst, header.gap?.firstIndex ?? 0)
  putU64(block, AT.gapLast, header.gap?.lastIndex ?? 0)
  if (header.predecessor !== undefined) encodePredecessor(block, header.predecessor)
  sealBlock(block, SEGMENT_MAGIC)
  return block
}

function encodePredecessor(block: Buffer, predecessor: Predecessor): void {
  const at = AT.predecessor
  putU64(block, at, predecessor.id)
  putU64(block, at + 8, predecessor.endOffset)
  putU64(block, at + 16, predecessor.lastIndex)
  block.writeUInt32LE(predecessor.commitCrc, at + 24)
  block.writeDoubleLE(predecessor.minTimestamp, at + 32)
  block.writeDoubleLE(predecessor.maxTimestamp, at + 40)
  block.writeDoubleLE(predecessor.sealedAt, at + 48)
  putU64(block, at + 56, predecessor.lastTerm)
}

export function decodeSegmentHeader(bytes: Buffer): HeaderOutcome {
  if (bytes.length < SEGMENT_HEADER_BYTES) return { kind: 'corrupt' }
  const block = bytes.subarray(0, SEGMENT_HEADER_BYTES)
  const state = openBlock(block, SEGMENT_MAGIC)
  if (state.kind === 'unsupported') return { kind: 'unsupported', version: state.version }
  if (state.kind !== 'ok' || block.readUInt32LE(AT.format) !== FORMAT_BINARY) return { kind: 'corrupt' }
  const header = readFields(block)
  return hasSafeNumbers(header) ? { kind: 'ok', header, contentStart: SEGMENT_HEADER_BYTES } : { kind: 'corrupt' }
}

/** The block that is being read; its views are made once. */
const scratch = viewMemory(Buffer.alloc(SEGMENT_HEADER_BYTES))

/** Text that one header has as the one before it: made of the bytes again only where they differ. */
class RepeatedText {
  readonly #at: number
  readonly #kind: 'hex' | 'utf8'
  #bytes: Buffer = Buffer.alloc(0)
  #text = ''

  constructor(at: number, kind: 'hex' | 'utf8') {
    this.#at = at
    this.#kind = kind
  }

  /** Of the `length` bytes in the scratch block. */
  text(length: number): string {
    const { bytes } = scratch
    const at = this.#at
    let same = length === this.#bytes.length
    for (let i = 0; same && i < length; i++) same = bytes[at + i] === this.#bytes[i]
    if (same) return this.#text
    this.#bytes = Buffer.from(bytes.subarray(at, at + length))
    this.#text = this.#bytes.toString(this.#kind)
    return this.#text
  }
}

const repeated = {
  logId: new RepeatedText(AT.logId, 'hex'),
  epochId: new RepeatedText(AT.epochId, 'hex'),
  encoding: new RepeatedText(AT.encoding, 'utf8'),
}

/** By words, because a log of a thousand segments is opened in code that has hardly run before, where every call counts. */
function readFields(block: Buffer): SegmentHeader {
  scratch.bytes.set(block)
  const { words, doubles } = scratch
  const u64 = (at: number): number => readU64(words, at >> 2)
  const flags = words[AT.flags >> 2]!
  const begins = (flags & FLAG_BEGINS) !== 0
  const nameBytes = Math.min(words[AT.encodingLength >> 2]! >>> 0, ENCODING_NAME_MAX_BYTES)
  return {
    logId: repeated.logId.text(16),
    id: u64(AT.id),
    firstIndex: u64(AT.firstIndex),
    epoch: {
      counter: u64(AT.epochCounter),
      id: repeated.epochId.text(8),
      startIndex: u64(AT.epochStart),
    },
    format: 'binary',
    encoding: repeated.encoding.text(nameBytes),
    maxEntryBytes: u64(AT.maxEntry),
    maxBatchBytes: u64(AT.maxBatch),
    salt: block.toString('hex', AT.salt, AT.salt + 16),
    createdAt: doubles[AT.createdAt >> 3]!,
    publishedEnd: u64(AT.publishedEnd),
    publishedLastIndex: u64(AT.publishedLast),
    begins,
    gap: (flags & FLAG_GAP) === 0 ? undefined : { firstIndex: u64(AT.gapFirst), lastIndex: u64(AT.gapLast) },
    predecessor: begins ? undefined : readPredecessor(words, doubles),
  }
}

function readPredecessor(words: Int32Array, doubles: Float64Array): Predecessor {
  const word = AT.predecessor >> 2
  const double = AT.predecessor >> 3
  return {
    id: readU64(words, word),
    endOffset: readU64(words, word + 2),
    lastIndex: readU64(words, word + 4),
    commitCrc: words[word + 6]! >>> 0,
    minTimestamp: doubles[double + 4]!,
    maxTimestamp: doubles[double + 5]!,
    sealedAt: doubles[double + 6]!,
    lastTerm: readU64(words, word + 14),
  }
}

/** Numbers are u64 on disk and JavaScript's safe integers in the interface: beyond them a header cannot be used. */
export function hasSafeNumbers(header: SegmentHeader): boolean {
  const { predecessor, epoch, gap } = header
  const safe = Number.isSafeInteger
  if (!safe(header.id) || !safe(header.firstIndex) || !safe(epoch.counter) || !safe(epoch.startIndex)) return false
  if (!safe(header.publishedEnd) || !safe(header.publishedLastIndex)) return false
  if (gap !== undefined && !(safe(gap.firstIndex) && safe(gap.lastIndex))) return false
  if (predecessor === undefined) return true
  return safe(predecessor.id) && safe(predecessor.endOffset) && safe(predecessor.lastIndex)
}

function putU64(block: Buffer, at: number, value: number): void {
  block.writeBigUInt64LE(BigInt(value), at)
}
