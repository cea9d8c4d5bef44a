import { BLOCK_PAYLOAD_OFFSET, openBlock, sealBlock } from './block.js'
import type { HeaderOutcome, Predecessor, SegmentHeader } from './format.js'

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

function readFields(block: Buffer): SegmentHeader {
  const flags = block.readUInt32LE(AT.flags)
  const begins = (flags & FLAG_BEGINS) !== 0
  const nameBytes = Math.min(block.readUInt32LE(AT.encodingLength), ENCODING_NAME_MAX_BYTES)
  return {
    logId: block.toString('hex', AT.logId, AT.logId + 16),
    id: getU64(block, AT.id),
    firstIndex: getU64(block, AT.firstIndex),
    epoch: {
      counter: getU64(block, AT.epochCounter),
      id: block.toString('hex', AT.epochId, AT.epochId + 8),
      startIndex: getU64(block, AT.epochStart),
    },
    format: 'binary',
    encoding: block.toString('utf8', AT.encoding, AT.encoding + nameBytes),
    maxEntryBytes: getU64(block, AT.maxEntry),
    maxBatchBytes: getU64(block, AT.maxBatch),
    salt: block.toString('hex', AT.salt, AT.salt + 16),
    createdAt: block.readDoubleLE(AT.createdAt),
    publishedEnd: getU64(block, AT.publishedEnd),
    publishedLastIndex: getU64(block, AT.publishedLast),
    begins,
    gap:
      (flags & FLAG_GAP) === 0
        ? undefined
        : { firstIndex: getU64(block, AT.gapFirst), lastIndex: getU64(block, AT.gapLast) },
    predecessor: begins ? undefined : readPredecessor(block),
  }
}

function readPredecessor(block: Buffer): Predecessor {
  const at = AT.predecessor
  return {
    id: getU64(block, at),
    endOffset: getU64(block, at + 8),
    lastIndex: getU64(block, at + 16),
    commitCrc: block.readUInt32LE(at + 24),
    minTimestamp: block.readDoubleLE(at + 32),
    maxTimestamp: block.readDoubleLE(at + 40),
    sealedAt: block.readDoubleLE(at + 48),
    lastTerm: getU64(block, at + 56),
  }
}

/** Numbers are u64 on disk and JavaScript's safe integers in the interface: beyond them a header cannot be used. */
export function hasSafeNumbers(header: SegmentHeader): boolean {
  const { predecessor, epoch, gap } = header
  const numbers = [
    header.id,
    header.firstIndex,
    epoch.counter,
    epoch.startIndex,
    header.publishedEnd,
    header.publishedLastIndex,
  ]
  if (gap !== undefined) numbers.push(gap.firstIndex, gap.lastIndex)
  if (predecessor !== undefined) numbers.push(predecessor.id, predecessor.endOffset, predecessor.lastIndex)
  return numbers.every(Number.isSafeInteger)
}

function putU64(block: Buffer, at: number, value: number): void {
  block.writeBigUInt64LE(BigInt(value), at)
}

function getU64(block: Buffer, at: number): number {
  return Number(block.readBigUInt64LE(at))
}
