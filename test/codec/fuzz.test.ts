import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sealBlock } from '../../src/codec/block.js'
import { crc32 } from '../../src/codec/crc32.js'
import { decodeData, json, text } from '../../src/codec/encoding.js'
import type { Format, SegmentHeader } from '../../src/codec/format.js'
import {
  decodeManifest,
  decodeMark,
  encodeManifest,
  encodeMark,
  MANIFEST_MAGIC,
  type Manifest,
} from '../../src/codec/manifest.js'
import { allocateMemory, EntryPositions, startScan, type Window } from '../../src/codec/memory.js'
import { indexSeed } from '../../src/codec/u64.js'
import { WalError } from '../../src/errors.js'
import { TwoSlotFile } from '../../src/file-system/two-slot-file.js'
import { auditContent } from '../../src/segments/audit.js'
import { createFormat } from '../../src/segments/create-format.js'
import { walkEntries } from '../../src/segments/salvage.js'
import { scanSegment } from '../../src/segments/scan.js'
import type { Walk } from '../../src/segments/window.js'
import { SimulatedFileSystem } from '../../src/testing.js'
import { formats, headerFor, segmentBytes } from './segment-bytes.js'

/** Random by a committed seed, so that CI sees what the author saw; other seeds and more runs by the environment. */
const seed = Number(process.env['WALRUS_FUZZ_SEED'] ?? 20261122)
const numRuns = Number(process.env['WALRUS_FUZZ_RUNS'] ?? 300)
const check = <Ts>(property: fc.IRawProperty<Ts>, runs = numRuns) => fc.assert(property, { seed, numRuns: runs })

const anyBytes = (maxLength: number) => fc.uint8Array({ maxLength, size: 'max' }).map(bytes => Buffer.from(bytes))

interface Change {
  at: number
  kind: 'set' | 'insert' | 'remove' | 'repeat' | 'zero'
  length: number
  value: number
}
/** Places as fractions, so that they fit bytes of any length. */
const change: fc.Arbitrary<Change> = fc.record({
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  kind: fc.constantFrom('set', 'insert', 'remove', 'repeat', 'zero'),
  length: fc.integer({ min: 1, max: 64 }),
  value: fc.integer({ min: 0, max: 255 }),
})
const changes = fc.array(change, { minLength: 1, maxLength: 6 })

function mutate(bytes: Buffer, list: readonly Change[], from = 0): Buffer {
  return list.reduce((now, { at, kind, length, value }) => {
    const start = from + Math.floor(at * (now.length - from))
    const [before, chunk, after] = [
      now.subarray(0, start),
      now.subarray(start, start + length),
      now.subarray(start + length),
    ]
    if (kind === 'set')
      return Buffer.concat([before, Buffer.from(chunk.map((byte, i) => byte ^ (value + i || 1))), after])
    if (kind === 'insert') return Buffer.concat([before, Buffer.alloc(length, value), chunk, after])
    if (kind === 'remove') return Buffer.concat([before, after])
    if (kind === 'repeat') return Buffer.concat([before, chunk, chunk, after])
    return Buffer.concat([before, Buffer.alloc(chunk.length), after])
  }, bytes)
}

/** Drives a walk over bytes in memory; fails when it asks for more than the file has, or does not end. */
function driveOver<R>(bytes: Buffer, walk: Walk<R>): R {
  let step = walk.next()
  for (let reads = 0; !step.done; reads++) {
    const { offset, length } = step.value
    if (length > bytes.length + 8192 || reads > 20_000) throw new Error(`read ${reads} of ${length} bytes at ${offset}`)
    step = walk.next(windowOver(bytes, offset, length))
  }
  return step.value
}

function windowOver(bytes: Buffer, start: number, wanted: number): Window {
  const memory = allocateMemory(Math.max(wanted, 8))
  const length = Math.max(0, Math.min(wanted, bytes.length - start))
  bytes.copy(memory.bytes, 0, start, start + length)
  return { ...memory, start, length }
}

function scanAll(format: Format, header: SegmentHeader, contentStart: number, bytes: Buffer): void {
  const file = { contentStart, fileBytes: bytes.length }
  const { end } = driveOver(bytes, scanSegment(format, header, file))
  expect(end.offset).toBeLessThanOrEqual(Math.max(bytes.length, contentStart))
  const audit = driveOver(bytes, auditContent(format, header, { contentStart, limit: bytes.length }))
  expect(audit.endOffset).toBeGreaterThanOrEqual(end.offset)
  expect(audit.entries).toBeLessThan(bytes.length / 32 + 1)
  const { firstIndex, maxEntryBytes } = header
  const source = { kind: 'entries', path: '', header, maxEntryBytes, offset: 0, end: bytes.length, firstIndex } as const
  const wanted = { firstIndex, lastIndex: firstIndex + 100 }
  driveOver(
    bytes,
    walkEntries(format, { ...source, lastIndex: wanted.lastIndex }, wanted, () => undefined),
  )
}

describe.each(formats)('decoders of format %s', name => {
  const format = createFormat(name, headerFor(name).logId)

  it('take any bytes for a header, or refuse them', () => {
    check(
      fc.property(anyBytes(5000), bytes => {
        expect(['corrupt', 'unsupported']).toContain(format.decodeHeader(bytes).kind)
      }),
    )
  })

  it('never take a changed header for the one it was', () => {
    const whole = format.encodeHeader(headerFor(name))
    check(
      fc.property(changes, list => {
        const bytes = mutate(whole, list)
        const found = format.decodeHeader(bytes)
        // What was changed may lie behind the header's end, or have been changed back.
        if (found.kind === 'ok') expect(format.encodeHeader(found.header).equals(whole)).toBe(true)
      }),
    )
  })

  it('end on any content, without reading beyond it', () => {
    const header = headerFor(name)
    const contentStart = format.encodeHeader(header).length
    check(fc.property(anyBytes(3000), bytes => scanAll(format, header, 0, bytes)))
    check(
      fc.property(anyBytes(3000), bytes => {
        const file = Buffer.concat([format.encodeHeader(header), bytes])
        scanAll(format, header, contentStart, file)
      }),
    )
  })

  it('end on changed content, and invent no entry', () => {
    const { bytes, header, contentStart, payloads } = segmentBytes(name)
    check(
      fc.property(changes, list => {
        const changed = mutate(bytes, list, contentStart)
        scanAll(format, header, contentStart, changed)
        const { end } = driveOver(changed, scanSegment(format, header, { contentStart, fileBytes: changed.length }))
        const window = windowOver(changed, 0, changed.length)
        const found = new EntryPositions()
        const state = startScan({ ...stateOf(format, header), offset: contentStart, limit: end.offset })
        format.scan(window, state, found)
        const entries = format.materialize(window, found, {
          from: 0,
          to: end.lastIndex - header.firstIndex + 1,
          firstIndex: header.firstIndex,
        })
        for (const entry of entries) expect(payloads[entry.index - header.firstIndex]).toEqual(String(entry.data))
      }),
    )
  })
})

const stateOf = (format: Format, header: SegmentHeader) => ({
  binding: format.bind(header),
  maxEntryBytes: header.maxEntryBytes,
  index: header.firstIndex,
  previousCrc: 0,
})

describe('a commit header with a good checksum that lies', () => {
  /** Any count and any length, sealed as the binary format seals. */
  it('makes nobody read or allocate beyond the file', () => {
    const { bytes, header, contentStart } = segmentBytes('binary')
    const format = createFormat('binary', header.logId)
    const u64 = fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn })
    check(
      fc.property(fc.nat(0xffff_ffff), u64, u64, u64, fc.nat(3), (count, body, first, proven, flags) => {
        const forged = Buffer.from(bytes)
        forged.writeUInt32LE(count, contentStart + 12)
        forged.writeBigUInt64LE(body, contentStart + 16)
        forged.writeBigUInt64LE(first % 2n === 0n ? BigInt(header.firstIndex) : first, contentStart + 24)
        forged.writeBigUInt64LE(proven, contentStart + 32)
        forged.writeUInt32LE(flags, contentStart + 44)
        const seal = crc32(forged, contentStart + 8, contentStart + 48, indexSeed(contentStart, format.bind(header)))
        forged.writeUInt32LE(seal, contentStart + 4)
        scanAll(format, header, contentStart, forged)
      }),
    )
  })

  it('nor does an entry of any length', () => {
    const { bytes, header, contentStart } = segmentBytes('binary')
    const format = createFormat('binary', header.logId)
    check(
      fc.property(fc.nat(0xffff_ffff), fc.nat(7), (length, flags) => {
        const forged = Buffer.from(bytes)
        forged.writeUInt32LE(length, contentStart + 48 + 4)
        forged.writeUInt32LE(flags, contentStart + 48 + 8)
        scanAll(format, header, contentStart, forged)
      }),
    )
  })
})

describe('manifest, mark and their slots', () => {
  const epoch = { counter: 1, id: '00112233aabbccdd', startIndex: 1 }
  const floor = { segmentId: 1, offset: 4096, index: 3, commitOffset: 0, minTimestamp: 1, maxTimestamp: 2, lastTerm: 0 }
  const manifest: Manifest = {
    ...{ logId: '0'.repeat(32), format: 'binary', encoding: 'bytes', firstIndex: 1, newestId: 1 },
    ...{ epochs: [epoch], closed: true, backup: false, floor },
  }

  it('decode to something or to nothing, also from bytes that a good checksum covers', () => {
    const wholes = [
      encodeManifest({ ...manifest, epochs: [epoch] }),
      encodeMark({ logId: '0'.repeat(32), epoch, ...floor }),
    ]
    const decode = (bytes: Buffer) => void [decodeManifest(bytes), decodeMark(bytes)]
    check(fc.property(anyBytes(4048), decode))
    for (const whole of wholes) check(fc.property(changes, list => decode(mutate(whole, list))))
  })

  it('are read from any file', async () => {
    await check(
      fc.asyncProperty(anyBytes(9000), fc.boolean(), async (bytes, sealed) => {
        const fs = new SimulatedFileSystem()
        const file = Buffer.from(bytes)
        // With an envelope that is good the fields behind it are looked at.
        if (sealed)
          for (let at = 0; at + 4096 <= file.length; at += 4096) sealBlock(file.subarray(at, at + 4096), MANIFEST_MAGIC)
        fs.place('/manifest', file)
        const { kind } = await TwoSlotFile.inspect(fs, '/manifest', MANIFEST_MAGIC)
        expect(['ok', 'corrupt']).toContain(kind)
      }),
    )
  })
})

describe('an ndjson header with a good checksum', () => {
  it('is refused when its fields are of other types, whatever they are', () => {
    const format = createFormat('ndjson', headerFor('ndjson').logId)
    const whole = JSON.parse(format.encodeHeader(headerFor('ndjson')).toString())
    const names = ['logId', 'id', 'firstIndex', 'epoch', 'format', 'encoding', 'maxEntryBytes', 'salt', 'begins']
    check(
      fc.property(fc.constantFrom(...names), fc.jsonValue(), (name, value) => {
        const { crc: _, ...fields } = { ...whole, [name]: value }
        const body = Buffer.from(JSON.stringify(fields).slice(0, -1))
        const found = format.decodeHeader(Buffer.from(`${body},"crc":${crc32(body, 0, body.length)}}\n`))
        if (found.kind !== 'ok') return
        expect(typeof value).toBe(typeof whole[name])
        format.bind(found.header)
        format.encodeHeader(found.header)
      }),
    )
  })
})

describe('encodings', () => {
  it('decode any bytes, or refuse them with WAL_INVALID_ENTRY', () => {
    check(
      fc.property(anyBytes(200), bytes => {
        for (const encoding of [json(), text()]) {
          try {
            decodeData(encoding, bytes, 7)
          } catch (error) {
            expect(error).toBeInstanceOf(WalError)
            expect(error).toMatchObject({ code: 'WAL_INVALID_ENTRY', index: 7 })
          }
        }
      }),
    )
  })
})
