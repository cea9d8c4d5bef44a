import { FLAG_ENDS_BATCH, FLAG_IN_TRANSACTION, type Format } from '../codec/format.js'
import { allocateMemory } from '../codec/memory.js'
import { writeFully } from '../file-system/transfer.js'
import type { File } from '../file-system/types.js'
import type { Entry } from '../types.js'
import type { SegmentEnd } from './segment.js'

/** Where a commit goes: behind `end`, which is durable once the file is published. */
export interface CommitPlace {
  file: File
  binding: number
  end: SegmentEnd
}

/** Entries in the order of their indexes, without gaps, and which of them end a batch. */
export interface CommitContent {
  entries: readonly Entry<Buffer>[]
  endsBatch: (slot: number) => boolean
}

/** Writes entries that exist already as one commit, and gives the content's new end. They keep all but, in another log, their checksum. */
export async function writeCommit(
  format: Format,
  { entries, endsBatch }: CommitContent,
  { file, binding, end }: CommitPlace,
): Promise<SegmentEnd> {
  let size = format.commitPrefixBytes + format.commitSuffixBytes
  for (const entry of entries) size += format.entryBytes(entry.data, entry.transactionId !== undefined)
  const memory = allocateMemory(size)
  let position = format.commitPrefixBytes
  let { minTimestamp, maxTimestamp, lastTerm } = end
  entries.forEach(({ index, term, timestamp, transactionId, data }, slot) => {
    const flags = (endsBatch(slot) ? FLAG_ENDS_BATCH : 0) | (transactionId === undefined ? 0 : FLAG_IN_TRANSACTION)
    position = format.writeEntry(memory, position, { index, term, timestamp, flags, transactionId }, data)
    minTimestamp = Math.min(minTimestamp, timestamp)
    maxTimestamp = Math.max(maxTimestamp, timestamp)
    lastTerm = term
  })
  const firstIndex = entries[0]!.index
  const { offset, commitCrc: previousCrc } = end
  const seal = { binding, offset, firstIndex, count: entries.length, provenEnd: offset, previousCrc }
  const sealed = format.sealCommit(memory, 0, position, seal)
  await writeFully(file, memory.bytes.subarray(0, sealed.end), offset)
  return {
    offset: offset + sealed.end,
    lastIndex: firstIndex + entries.length - 1,
    commitCrc: sealed.crc,
    commitOffset: offset,
    minTimestamp,
    maxTimestamp,
    lastTerm,
  }
}
