import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BinaryFormat } from '../../src/codec/binary.js'
import { FLAG_ENDS_BATCH } from '../../src/codec/format.js'
import { kernel } from '../../src/codec/kernel.js'
import { allocateMemory, EntryPositions, startScan } from '../../src/codec/memory.js'
import { headerFor } from './segment-bytes.js'

const header = headerFor('binary')
const format = new BinaryFormat(header.logId)
/** A window longer than the kernel's stage is walked by the loops in JavaScript. */
const LONG = kernel!.stage.bytes.length + 8

/** One commit of entries of these lengths; every third ends a batch, and the last. */
function commitOf(lengths: readonly number[]): Buffer {
  const size = lengths.reduce((sum, length) => sum + format.entryBytes(Buffer.alloc(length), false), 0)
  const memory = allocateMemory(format.commitPrefixBytes + size)
  let end = format.commitPrefixBytes
  for (const [i, length] of lengths.entries()) {
    const flags = i % 3 === 2 || i === lengths.length - 1 ? FLAG_ENDS_BATCH : 0
    const fields = { index: header.firstIndex + i, term: i, timestamp: i / 3, flags, transactionId: undefined }
    end = format.writeEntry(memory, end, fields, Buffer.alloc(length, i + 1))
  }
  const seal = { binding: format.bind(header), firstIndex: header.firstIndex, count: lengths.length, provenEnd: 4096 }
  const sealed = format.sealCommit(memory, 0, end, { ...seal, offset: 4096, previousCrc: 0 })
  return memory.bytes.subarray(0, sealed.end)
}

/** What a scan of a window of `length` bytes that begins with `bytes` says and leaves behind. */
function scan(bytes: Buffer, windowBytes: number, limit = 4096 + bytes.length) {
  const memory = allocateMemory(windowBytes)
  bytes.copy(memory.bytes)
  const state = startScan({
    binding: format.bind(header),
    maxEntryBytes: header.maxEntryBytes,
    offset: 4096,
    limit,
    index: header.firstIndex,
    previousCrc: 0,
  })
  const found = new EntryPositions()
  const length = windowBytes === LONG ? LONG : bytes.length
  const stop = format.scan({ ...memory, start: 4096, length }, state, found)
  return { stop, state, found: [...found.slots.subarray(0, found.count)] }
}

/** Both ways of walking see the same, whatever the bytes are. */
function expectSame(bytes: Buffer): void {
  expect(scan(bytes, bytes.length)).toEqual(scan(bytes, LONG))
}

describe('the scan of the kernel', () => {
  it('sees what the loops in JavaScript see, in whole commits and damaged ones', () => {
    const lengths = fc.array(fc.oneof(fc.nat(40), fc.integer({ min: 0, max: 700 })), { minLength: 1, maxLength: 12 })
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(7)), { maxLength: 2 })
    fc.assert(
      fc.property(lengths, flips, (given, at) => {
        const bytes = commitOf(given)
        for (const [place, bit] of at) bytes[place % bytes.length]! ^= 1 << bit
        expectSame(bytes)
      }),
    )
  })

  it('goes on where a commit has more entries than fit into one run', () => {
    const count = kernel!.slots.length * 2 + 17
    const bytes = commitOf(new Array<number>(count).fill(0))
    expect(scan(bytes, bytes.length)).toMatchObject({ stop: { kind: 'end' }, state: { remaining: 0 } })
    expect(scan(bytes, bytes.length).found).toHaveLength(count)
    expectSame(bytes)
  })

  it('finds padding that is not zero, at any length', () => {
    for (let length = 0; length <= 24; length++) {
      const whole = commitOf([length])
      const dataEnd = format.commitPrefixBytes + 32 + length
      expect(scan(whole, whole.length).stop.kind).toBe('end')
      for (let at = dataEnd; at < whole.length; at++) {
        const bytes = Buffer.from(whole)
        bytes[at] = 1
        expect(scan(bytes, bytes.length).stop.kind).toBe('bad')
      }
    }
  })
})
