import type { FormatName, SegmentHeader } from '../../src/codec/format.js'
import { FLAG_ENDS_BATCH } from '../../src/codec/format.js'
import { allocateMemory } from '../../src/codec/memory.js'
import { createFormat } from '../../src/segments/create-format.js'

export const formats: readonly FormatName[] = ['binary', 'ndjson']

export function headerFor(format: FormatName): SegmentHeader {
  return {
    ...{ logId: '00112233445566778899aabbccddeeff', id: 3, firstIndex: 50, format, encoding: 'bytes' },
    epoch: { counter: 2, id: '0123456789abcdef', startIndex: 20 },
    ...{ maxEntryBytes: 1 << 20, maxBatchBytes: 1 << 22, salt: 'ffeeddccbbaa99887766554433221100', createdAt: 1e12 },
    ...{ publishedEnd: 0, publishedLastIndex: 0, begins: true, gap: undefined, predecessor: undefined },
  }
}

/** A segment file with some commits of some entries. */
export function segmentBytes(name: FormatName) {
  const header = headerFor(name)
  const format = createFormat(name, header.logId)
  const head = format.encodeHeader(header)
  const parts = [head]
  const payloads: string[] = []
  const at = { offset: head.length, index: header.firstIndex, crc: 0 }
  for (let commit = 0; commit < 5; commit++) {
    const count = (commit % 3) + 1
    const memory = allocateMemory(10_000)
    let end = format.commitPrefixBytes
    for (let i = 0; i < count; i++) {
      const payload = `payload ${payloads.length}`.repeat(commit + 1)
      payloads.push(payload)
      const flags = i === count - 1 ? FLAG_ENDS_BATCH : 0
      const fields = { index: at.index + i, term: 1, timestamp: 1e12, flags, transactionId: undefined }
      end = format.writeEntry(memory, end, fields, Buffer.from(payload))
    }
    const seal = { binding: format.bind(header), firstIndex: at.index, count, provenEnd: at.offset }
    const sealed = format.sealCommit(memory, 0, end, { ...seal, offset: at.offset, previousCrc: at.crc })
    parts.push(Buffer.from(memory.bytes.subarray(0, sealed.end)))
    Object.assign(at, { offset: at.offset + sealed.end, index: at.index + count, crc: sealed.crc })
  }
  return { header, contentStart: head.length, bytes: Buffer.concat(parts), payloads }
}
