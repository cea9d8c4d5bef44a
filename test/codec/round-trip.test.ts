import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FLAG_ENDS_BATCH, FLAG_IN_TRANSACTION, type Format, type FormatName } from '../../src/codec/format.js'
import { allocateMemory } from '../../src/codec/memory.js'
import { createFormat } from '../../src/segments/create-format.js'
import { ScanFailure, type ScanReport, scanSegment, startSegmentScan, walkWhole } from '../../src/segments/scan.js'
import { Segment } from '../../src/segments/segment.js'
import type { Walk, WindowRequest } from '../../src/segments/window.js'
import type { Entry } from '../../src/types.js'
import { formats, headerFor } from './segment-bytes.js'

interface Given {
  payload: Buffer
  term: number
  timestamp: number
}
/** Batches of one commit; a batch may be a transaction. */
interface GivenBatch {
  entries: Given[]
  transactionId: string | undefined
}

const entry: fc.Arbitrary<Given> = fc.record({
  payload: fc
    .oneof(
      { weight: 4, arbitrary: fc.uint8Array({ maxLength: 80 }) },
      { weight: 1, arbitrary: fc.uint8Array({ minLength: 3000, maxLength: 5000, size: 'max' }) },
      { weight: 2, arbitrary: fc.json().map(json => Buffer.from(json)) },
    )
    .map(bytes => Buffer.from(bytes)),
  term: fc.oneof(fc.nat(), fc.maxSafeNat()),
  // Never minus zero: the admission sees to that.
  timestamp: fc.double({ noNaN: true, noDefaultInfinity: true }).map(timestamp => timestamp + 0),
})
const batch: fc.Arbitrary<GivenBatch> = fc.record({
  entries: fc.array(entry, { minLength: 1, maxLength: 5 }),
  transactionId: fc.option(
    fc.uint8Array({ minLength: 8, maxLength: 8 }).map(id => Buffer.from(id).toString('hex')),
    { nil: undefined },
  ),
})
const commits = fc.array(fc.array(batch, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 })

/** The bytes of a segment that holds these commits. */
function write(format: Format, name: FormatName, given: GivenBatch[][]): { bytes: Buffer; ends: number[] } {
  const header = headerFor(name)
  const parts = [format.encodeHeader(header)]
  let offset = parts[0]?.length ?? 0
  const ends: number[] = []
  let [index, previousCrc] = [header.firstIndex, 0]
  for (const batches of given) {
    const entries = batches.flatMap(({ entries, transactionId }) =>
      entries.map((one, i) => ({ ...one, transactionId, isLast: i === entries.length - 1 })),
    )
    const size = entries.reduce(
      (sum, { payload, transactionId }) => sum + format.entryBytes(payload, transactionId !== undefined),
      0,
    )
    const memory = allocateMemory(format.commitPrefixBytes + size + format.commitSuffixBytes)
    let end = format.commitPrefixBytes
    for (const [i, { payload, isLast, ...fields }] of entries.entries()) {
      const flags = (isLast ? FLAG_ENDS_BATCH : 0) | (fields.transactionId === undefined ? 0 : FLAG_IN_TRANSACTION)
      const bound = end + format.entryBytes(payload, fields.transactionId !== undefined)
      end = format.writeEntry(memory, end, { ...fields, index: index + i, flags }, payload)
      expect(end).toBeLessThanOrEqual(bound)
    }
    const seal = {
      binding: format.bind(header),
      offset,
      firstIndex: index,
      count: entries.length,
      provenEnd: offset,
      previousCrc,
    }
    const sealed = format.sealCommit(memory, 0, end, seal)
    parts.push(Buffer.from(memory.bytes.subarray(0, sealed.end)))
    offset += sealed.end
    ends.push(offset)
    index += entries.length
    previousCrc = sealed.crc
  }
  return { bytes: Buffer.concat(parts), ends }
}

/** Drives a walk over bytes in memory, never giving more than `windowBytes` unless more is asked for by need. */
function driveOver<Result>(bytes: Buffer, walk: Walk<Result>, clamp: (request: WindowRequest) => number): Result {
  let step = walk.next()
  while (!step.done) {
    const { offset } = step.value
    const length = Math.max(0, Math.min(clamp(step.value), bytes.length - offset))
    const memory = allocateMemory(length)
    bytes.copy(memory.bytes, 0, offset, offset + length)
    step = walk.next({ ...memory, start: offset, length })
  }
  return step.value
}

function scan(format: Format, name: FormatName, bytes: Buffer): ScanReport {
  const header = headerFor(name)
  const contentStart = format.encodeHeader(header).length
  return driveOver(
    bytes,
    scanSegment(format, header, { contentStart, fileBytes: bytes.length }),
    ({ length }) => length,
  )
}

function read(format: Format, name: FormatName, bytes: Buffer, report: ScanReport): Entry<Buffer>[] {
  const header = headerFor(name)
  const segment = new Segment(header, 'segment', format.encodeHeader(header).length, report.end, true)
  const state = startSegmentScan(format, segment)
  const entries: Entry<Buffer>[] = []
  let next = header.firstIndex
  const walk = walkWhole(format, segment, state, (window, found) => {
    entries.push(...format.materialize(window, found, { from: 0, to: found.count, firstIndex: next }))
    next += found.count
    return undefined
  })
  driveOver(bytes, walk, ({ length }) => length)
  return entries
}

describe.each(formats.map(name => [name] as const))("format '%s'", name => {
  const format = createFormat(name, headerFor(name).logId)
  const { firstIndex } = headerFor(name)

  test('what was written is read, entry for entry, with all its fields', () => {
    fc.assert(
      fc.property(commits, given => {
        const { bytes, ends } = write(format, name, given)
        const report = scan(format, name, bytes)
        const expected = given.flat().flatMap(({ entries, transactionId }) =>
          entries.map(({ payload, ...stamps }) => ({
            ...stamps,
            data: payload,
            ...(transactionId && { transactionId }),
          })),
        )
        expect([report.damage, report.end.offset]).toEqual([undefined, bytes.length])
        expect(report.end.lastIndex).toBe(firstIndex + expected.length - 1)
        expect(report.provenEnd).toBe(ends.at(-2) ?? format.encodeHeader(headerFor(name)).length)
        expect(report.end.lastTerm).toBe(expected.at(-1)?.term)
        const stamps = expected.map(({ timestamp }) => timestamp)
        expect([report.end.minTimestamp, report.end.maxTimestamp]).toEqual([Math.min(...stamps), Math.max(...stamps)])
        const found = read(format, name, bytes, report)
        expect(found.map(({ index, checksum, ...rest }) => rest)).toEqual(expected)
        expect(found.map(({ index }) => index)).toEqual(expected.map((_, i) => firstIndex + i))
      }),
      { numRuns: 60 },
    )
  })

  test('the checksum of an entry is the same in every segment, commit and format', () => {
    fc.assert(
      fc.property(entry, one => {
        const checksums = formats.flatMap(other => {
          const codec = createFormat(other, headerFor(other).logId)
          const alone = write(codec, other, [[{ entries: [one], transactionId: undefined }]]).bytes
          return read(codec, other, alone, scan(codec, other, alone)).map(({ checksum }) => checksum)
        })
        expect(new Set(checksums).size).toBe(1)
      }),
      { numRuns: 30 },
    )
  })

  test('any flipped bit of the content is noticed: never other entries, only fewer', () => {
    const place = fc.record({
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      bit: fc.nat({ max: 7 }),
    })
    fc.assert(
      fc.property(commits, place, (given, { at, bit }) => {
        const { bytes, ends } = write(format, name, given)
        const whole = read(format, name, bytes, scan(format, name, bytes))
        const start = format.encodeHeader(headerFor(name)).length
        const damaged = Buffer.from(bytes)
        const position = start + Math.floor(at * (bytes.length - start))
        damaged[position] = (damaged[position] ?? 0) ^ (1 << bit)
        const report = scan(format, name, damaged)
        const keptEnd = ends.findLast(end => end <= position) ?? start
        expect(report.end.offset).toBe(keptEnd)
        expect(report.damage).toMatchObject({ offset: keptEnd })
        const kept = read(format, name, damaged, report)
        expect(kept).toEqual(whole.slice(0, kept.length))
      }),
      { numRuns: 150 },
    )
  })

  test('cut anywhere, whole commits are left and no part of one', () => {
    fc.assert(
      fc.property(commits, fc.double({ min: 0, max: 1, noNaN: true }), (given, at) => {
        const { bytes, ends } = write(format, name, given)
        const start = format.encodeHeader(headerFor(name)).length
        const cut = start + Math.floor(at * (bytes.length - start))
        const report = scan(format, name, bytes.subarray(0, cut))
        expect(report.end.offset).toBe(ends.findLast(end => end <= cut) ?? start)
      }),
      { numRuns: 100 },
    )
  })

  test('commits exchanged, repeated or left out are no content', () => {
    const { bytes, ends } = write(
      format,
      name,
      [1, 2, 3].map(n => [
        { entries: [{ payload: Buffer.from(`same ${n}`), term: 1, timestamp: 5 }], transactionId: undefined },
      ]),
    )
    const start = format.encodeHeader(headerFor(name)).length
    const [a, b, c] = [start, ...ends].slice(0, 3).map((from, i) => bytes.subarray(from, ends[i])) as [
      Buffer,
      Buffer,
      Buffer,
    ]
    const head = bytes.subarray(0, start)
    for (const [parts, whole] of [
      [[b, a, c], 0],
      [[a, a, b, c], 1],
      [[a, c], 1],
      [[a, b, b], 2],
      [[b], 0],
    ] as [Buffer[], number][]) {
      const report = scan(format, name, Buffer.concat([head, ...parts]))
      expect(report.end.lastIndex).toBe(firstIndex + whole - 1)
    }
  })

  test('a file that ends inside its content is a failure for whoever needs it whole', () => {
    const { bytes } = write(format, name, [
      [{ entries: [{ payload: Buffer.alloc(500), term: 0, timestamp: 0 }], transactionId: undefined }],
    ])
    const report = scan(format, name, bytes)
    expect(() => read(format, name, bytes.subarray(0, bytes.length - 100), report)).toThrow(ScanFailure)
  })

  test('commits of another log, segment or salt are no content', () => {
    const { bytes } = write(format, name, [
      [{ entries: [{ payload: Buffer.from('a'), term: 0, timestamp: 0 }], transactionId: undefined }],
    ])
    const header = headerFor(name)
    const contentStart = format.encodeHeader(header).length
    const foreign = [
      [createFormat(name, 'ff'.repeat(16)), header],
      [format, { ...header, id: header.id + 1 }],
      [format, { ...header, salt: '00'.repeat(16) }],
      [format, { ...header, firstIndex: firstIndex + 1 }],
    ] as const
    for (const [other, as] of foreign) {
      const report = driveOver(
        bytes,
        scanSegment(other, as, { contentStart, fileBytes: bytes.length }),
        ({ length }) => length,
      )
      expect(report.end.offset).toBe(contentStart)
    }
  })
})
