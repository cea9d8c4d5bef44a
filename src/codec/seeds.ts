import { crc32 } from './crc32.js'
import type { SegmentHeader } from './format.js'
import { indexSeed } from './u64.js'

/** What the checksum of every entry of a log begins with: its id, 32 hex digits. */
export function logSeed(logId: string): number {
  const id = Buffer.from(logId, 'hex')
  return crc32(id, 0, id.length)
}

/** What the checksum of every commit of a segment begins with: the file's salt and the segment's id. */
export function segmentBinding({ salt, id }: SegmentHeader): number {
  const bytes = Buffer.from(salt, 'hex')
  return indexSeed(id, crc32(bytes, 0, bytes.length))
}
