import { crc32 } from './crc32.js'
import type { EntryFields } from './format.js'
import { FLAG_IN_TRANSACTION } from './format.js'
import { indexSeed, writeU64 } from './u64.js'

/** The part of a binary entry that its checksum covers before the data: length, flags, zero, timestamp, term, transaction id. */
const scratch = Buffer.alloc(36)
const words = new Int32Array(scratch.buffer, scratch.byteOffset, 9)

/**
 * The checksum of an entry that does not lie in memory as the binary format lays it out: the same number as there, because an
 * entry keeps its checksum in whatever format it is stored.
 */
export function entryChecksum(logSeed: number, fields: EntryFields, payload: Uint8Array): number {
  words[0] = payload.length
  words[1] = fields.flags
  words[2] = 0
  scratch.writeDoubleLE(fields.timestamp, 12)
  writeU64(words, 5, fields.term)
  const inTransaction = (fields.flags & FLAG_IN_TRANSACTION) !== 0
  if (inTransaction) scratch.write(fields.transactionId!, 28, 8, 'hex')
  const head = crc32(scratch, 0, inTransaction ? 36 : 28, indexSeed(fields.index, logSeed))
  return payload.length === 0 ? head : crc32(payload, 0, payload.length, head)
}
