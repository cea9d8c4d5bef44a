import type { Entry } from '../types.js'
import { bodyCrcAt } from './body-crc.js'
import { BufferView, type Place, placeOf } from './buffer-view.js'
import { crc32, NATIVE_MIN_BYTES } from './crc32.js'
import {
  type CommitProbe,
  type CommitSeal,
  type EntryFields,
  type EntrySlice,
  FLAG_ENDS_BATCH,
  FLAG_IN_TRANSACTION,
  type Format,
  type HeaderOutcome,
  type ScanStop,
  type SealedCommit,
  type SegmentHeader,
  UNKNOWN_INCOMPATIBLE_FLAGS,
} from './format.js'
import { kernel, SCAN_BAD, SCAN_DONE, SCAN_MORE } from './kernel.js'
import {
  ENDS_BATCH,
  type EntryPositions,
  FIRST_OF_COMMIT,
  type Memory,
  noteTime,
  POSITION_MASK,
  type ScanNotes,
  type ScanState,
  type Window,
} from './memory.js'
import { logSeed, segmentBinding } from './seeds.js'
import { decodeSegmentHeader, encodeSegmentHeader, SEGMENT_HEADER_BYTES } from './segment-header.js'
import { indexSeed, readU64, writeU64 } from './u64.js'

/*
 * The binary layout behind the segment header. Little endian, everything at multiples of 8.
 *
 *   commit   0        4        8        12       16          24           32          40           44
 *            | magic  | header | body   | count  | body      | first      | proven    | previous   | flags |  entries ...
 *            | 'WLCM' |  CRC   |  CRC   |        | bytes u64 | index u64  | end u64   | commit CRC | (0)   |
 *
 *   entry    0          4        8        12         16             24         32
 *            | checksum | length | flags  | reserved | timestamp    | term u64 | [transaction id, 8 bytes] | data | zeros to 8
 *            |          | u32    | u32    | (0)      | f64          |          |
 *
 *   header CRC  over salt, segment id, own offset in the file, and the header's bytes from `body CRC` on
 *   body CRC    over the first 8 bytes (checksum, length) of every entry: the checksum covers all else
 *   checksum    over log id, index, and the entry's bytes from `length` to the end of the data; without the salt, so that an entry
 *               has one checksum in every format and every copy of the log
 *   index       of an entry: the commit's first index plus its ordinal
 */
const COMMIT_MAGIC = 0x4d434c57
const COMMIT_HEADER_BYTES = 4 + 4 + 4 + 4 + 8 + 8 + 8 + 4 + 4
const ENTRY_HEADER_BYTES = 4 + 4 + 4 + 4 + 8 + 8
const TRANSACTION_ID_BYTES = 8
const ENTRY_CHECKED_FROM = 4

/** The binary layout of one log: its entries' checksums begin with the log's id. */
export class BinaryFormat implements Format {
  readonly name = 'binary'
  readonly headerBytes = SEGMENT_HEADER_BYTES
  readonly alignment = 8
  readonly commitPrefixBytes = COMMIT_HEADER_BYTES
  readonly commitSuffixBytes = 0
  readonly #logSeed: number

  /** `logId`: 32 hex digits. */
  constructor(logId: string) {
    this.#logSeed = logSeed(logId)
  }

  encodeHeader(header: SegmentHeader): Buffer {
    return encodeSegmentHeader(header)
  }

  decodeHeader(bytes: Buffer): HeaderOutcome {
    return decodeSegmentHeader(bytes)
  }

  bind(header: SegmentHeader): number {
    return segmentBinding(header)
  }

  entryBytes(payload: Uint8Array, inTransaction: boolean): number {
    return align8(ENTRY_HEADER_BYTES + (inTransaction ? TRANSACTION_ID_BYTES : 0) + payload.length)
  }

  writeEntry(memory: Memory, position: number, fields: EntryFields, payload: Uint8Array): number {
    const { bytes, words } = memory
    const word = position >> 2
    let dataAt = position + ENTRY_HEADER_BYTES
    words[word + 1] = payload.length
    words[word + 2] = fields.flags
    words[word + 3] = 0
    memory.doubles[(position + 16) >> 3] = fields.timestamp
    writeU64(words, word + 6, fields.term)
    if (fields.transactionId !== undefined) {
      bytes.write(fields.transactionId, dataAt, TRANSACTION_ID_BYTES, 'hex')
      dataAt += TRANSACTION_ID_BYTES
    }
    bytes.set(payload, dataAt)
    const dataEnd = dataAt + payload.length
    const end = align8(dataEnd)
    for (let at = dataEnd; at < end; at++) bytes[at] = 0
    words[word] = this.#checksum(memory, position, dataEnd, fields.index)
    return end
  }

  sealCommit(memory: Memory, start: number, end: number, seal: CommitSeal): SealedCommit {
    const { bytes, words } = memory
    const word = start >> 2
    const bodyStart = start + COMMIT_HEADER_BYTES
    words[word] = COMMIT_MAGIC
    words[word + 2] = bodyCrcOf(memory, bodyStart, end, seal.positions)
    words[word + 3] = seal.count
    writeU64(words, word + 4, end - bodyStart)
    writeU64(words, word + 6, seal.firstIndex)
    writeU64(words, word + 8, seal.provenEnd)
    words[word + 10] = seal.previousCrc
    words[word + 11] = 0
    const crc = crc32(bytes, start + 8, bodyStart, indexSeed(seal.offset, seal.binding))
    words[word + 1] = crc
    return { end, crc }
  }

  scan(window: Window, state: ScanState, found: EntryPositions): ScanStop {
    const available = Math.min(window.start + window.length, state.limit)
    const staged = stage(window, state.offset, available)
    for (;;) {
      if (state.remaining === 0) {
        if (state.offset >= state.limit) return { kind: 'end' }
        const stop = this.#enterCommit(window, state, available)
        if (stop !== undefined) return stop
        state.batch.found = found.count
      }
      const stop = staged
        ? this.#scanStaged(window, state, found, available)
        : this.#scanEntries(window, state, found, available)
      if (stop !== undefined) return stop
    }
  }

  firstIndexAt(window: Window, position: number, binding: number): number | undefined {
    return this.probeCommit(window, position, binding)?.firstIndex
  }

  probeCommit(window: Window, position: number, binding: number): CommitProbe | undefined {
    const { bytes, words } = window
    const word = position >> 2
    if (words[word] !== COMMIT_MAGIC || position + COMMIT_HEADER_BYTES > window.length) return undefined
    const seed = indexSeed(window.start + position, binding)
    if (crc32(bytes, position + 8, position + COMMIT_HEADER_BYTES, seed) !== words[word + 1]! >>> 0) return undefined
    return {
      offset: window.start + position,
      firstIndex: readU64(words, word + 6),
      count: words[word + 3]! >>> 0,
      provenEnd: readU64(words, word + 8),
    }
  }

  readEntry(window: Window, position: number, index: number): Entry<Buffer> | undefined {
    const size = this.#checkEntry(window, position, window.length, index)
    return size > 0 ? entryAt(window, placeOf(window.bytes), position, index) : undefined
  }

  entrySpan({ words, length }: Window, position: number): number | undefined {
    if (position + ENTRY_HEADER_BYTES > length) return undefined
    const word = position >> 2
    const flags = words[word + 2]!
    const bytes = words[word + 1]! >>> 0
    if (words[word + 3] !== 0 || (flags & UNKNOWN_INCOMPATIBLE_FLAGS) !== 0) return undefined
    if (words[word] === 0 && bytes === 0 && flags === 0) return undefined
    return align8(ENTRY_HEADER_BYTES + ((flags & FLAG_IN_TRANSACTION) === 0 ? 0 : TRANSACTION_ID_BYTES) + bytes)
  }

  eachStamp(window: Window, found: EntryPositions, visit: (timestamp: number, term: number) => void): void {
    for (let i = 0; i < found.count; i++) {
      const position = found.slots[i]! & POSITION_MASK
      visit(window.doubles[(position + 16) >> 3]!, readU64(window.words, (position >> 2) + 6))
    }
  }

  /** The header is written anew in its place. */
  unsealCommit(_memory: Memory, end: number): number {
    return end
  }

  materialize(window: Window, found: EntryPositions, range: EntrySlice): Entry<Buffer>[] {
    const entries = new Array<Entry<Buffer>>(range.to - range.from)
    const { slots } = found
    const place = placeOf(window.bytes)
    let index = range.firstIndex
    for (let i = range.from; i < range.to; i++) {
      entries[i - range.from] = entryAt(window, place, slots[i]! & POSITION_MASK, index++)
    }
    return entries
  }

  /** Checks the commit header at `state.offset` and steps behind it. */
  #enterCommit(window: Window, state: ScanState, available: number): ScanStop | undefined {
    const { words } = window
    const { offset, limit } = state
    if (offset + COMMIT_HEADER_BYTES > available) {
      if (offset + COMMIT_HEADER_BYTES > limit)
        return bad(window, state, available, 'the file ends inside a commit header')
      return { kind: 'more', need: COMMIT_HEADER_BYTES }
    }
    const position = offset - window.start
    const word = position >> 2
    const commit = this.probeCommit(window, position, state.binding)
    if (commit === undefined) return bad(window, state, available, 'no valid commit header')
    if (words[word + 11] !== 0) return { kind: 'unsupported', offset, flags: words[word + 11]! }
    if (commit.firstIndex !== state.index) {
      return bad(
        window,
        state,
        available,
        `a commit that begins with index ${commit.firstIndex} instead of ${state.index}`,
      )
    }
    if (state.previousCrc !== undefined && words[word + 10]! >>> 0 !== state.previousCrc) {
      return bad(window, state, available, 'a commit that follows another than the one before it')
    }
    const bodyBytes = readU64(words, word + 4)
    const end = offset + COMMIT_HEADER_BYTES + bodyBytes
    if (commit.count === 0 || bodyBytes % 8 !== 0 || end > limit) {
      return bad(window, state, available, 'a commit that reaches beyond the end of the file')
    }
    // A commit that the window cuts is left for a window that begins with it, so that most are verified whole before use.
    if (end > available && offset !== window.start) return { kind: 'more', need: end - offset }
    state.commitOffset = offset
    state.commitEnd = end
    state.remaining = commit.count
    state.commitProvenEnd = commit.provenEnd
    state.commitCrc = words[word + 1]! >>> 0
    state.expectedBodyCrc = words[word + 2]! >>> 0
    state.bodyCrc = 0
    state.offset = offset + COMMIT_HEADER_BYTES
    const { batch } = state
    batch.offset = state.offset
    batch.index = state.index
    batch.remaining = state.remaining
    batch.bodyCrc = 0
    state.notes?.commits.push({ offset, firstIndex: state.index })
    return undefined
  }

  /** Walks the entries of the commit under way; undefined once it is whole. */
  #scanEntries(window: Window, state: ScanState, found: EntryPositions, available: number): ScanStop | undefined {
    const { bytes, words, start } = window
    const end = Math.min(available, state.commitEnd) - start
    let first = state.offset === state.commitOffset + COMMIT_HEADER_BYTES ? FIRST_OF_COMMIT : 0
    while (state.remaining > 0) {
      const position = state.offset - start
      const size = this.#checkEntry(window, position, end, state.index, state.maxEntryBytes)
      if (size <= 0) return this.#explain(window, state, available, -size)
      const flags = words[(position >> 2) + 2]!
      if ((flags & UNKNOWN_INCOMPATIBLE_FLAGS) !== 0) return { kind: 'unsupported', offset: state.offset, flags }
      if (state.notes !== undefined) noteTime(state.notes, window.doubles[(position + 16) >> 3]!)
      state.bodyCrc = crc32(bytes, position, position + 8, state.bodyCrc)
      state.offset += size
      state.index++
      state.remaining--
      if ((flags & FLAG_ENDS_BATCH) !== 0) {
        found.push(position | first | ENDS_BATCH)
        const { batch } = state
        batch.offset = state.offset
        batch.index = state.index
        batch.remaining = state.remaining
        batch.bodyCrc = state.bodyCrc
        batch.found = found.count
      } else found.push(position | first)
      first = 0
    }
    return this.#leaveCommit(window, state, available)
  }

  /** As `#scanEntries`, by the kernel, over the copy of the window that lies on its stage. */
  #scanStaged(window: Window, state: ScanState, found: EntryPositions, available: number): ScanStop | undefined {
    const { slots, result, stage } = kernel!
    const base = stage.address
    const end = base + Math.min(available, state.commitEnd) - window.start
    while (state.remaining > 0) {
      const first = state.offset === state.commitOffset + COMMIT_HEADER_BYTES
      const from = base + state.offset - window.start
      const wanted = Math.min(state.remaining, slots.length)
      const count = kernel!.scan(
        from,
        end,
        base,
        this.#logSeed,
        state.index,
        wanted,
        state.maxEntryBytes,
        state.bodyCrc,
        slots.byteOffset,
      )
      const before = found.count
      found.pushAll(slots.subarray(0, count))
      if (state.notes !== undefined) noteTimes(state.notes, base, count)
      if (first && count > 0) found.slots[before]! |= FIRST_OF_COMMIT
      noteProgress(state, result, { base, start: window.start, count, before })
      const status = result[1]
      if (status === SCAN_DONE) continue
      if (status === SCAN_MORE) return this.#explain(window, state, available, result[2]!)
      if (status === SCAN_BAD) return this.#explain(window, state, available, 0)
      return {
        kind: 'unsupported',
        offset: state.offset,
        flags: window.words[((state.offset - window.start) >> 2) + 2]!,
      }
    }
    return this.#leaveCommit(window, state, available)
  }

  #leaveCommit(window: Window, state: ScanState, available: number): ScanStop | undefined {
    const whole =
      state.offset === state.commitEnd && state.bodyCrc === state.expectedBodyCrc && state.batch.offset === state.offset
    if (!whole) {
      state.offset = state.commitOffset
      return bad(window, state, available, 'a commit whose entries are not the ones its header names')
    }
    state.previousCrc = state.commitCrc
    state.provenEnd = Math.max(state.provenEnd, state.commitProvenEnd)
    state.lastCommitOffset = state.commitOffset
    state.wholeEnd = state.offset
    state.wholeIndex = state.index
    return undefined
  }

  /** Size of the intact entry at `position`; 0 when it is bad; -n when the window ends before its n bytes do. */
  #checkEntry(window: Window, position: number, end: number, index: number, maxBytes = Infinity): number {
    const { words } = window
    if (position + ENTRY_HEADER_BYTES > end) return -ENTRY_HEADER_BYTES
    const word = position >> 2
    const length = words[word + 1]! >>> 0
    if (length > maxBytes) return 0
    const dataEnd =
      position +
      ENTRY_HEADER_BYTES +
      ((words[word + 2]! & FLAG_IN_TRANSACTION) === 0 ? 0 : TRANSACTION_ID_BYTES) +
      length
    const size = ((dataEnd + 7) & ~7) - position
    if (position + size > end) return -size
    if (this.#checksum(window, position, dataEnd, index) !== words[word]! >>> 0) return 0
    for (let at = dataEnd; at < position + size; at++) if (window.bytes[at] !== 0) return 0
    return size
  }

  /** Checksum of the entry at `position` whose data end at `dataEnd`. */
  #checksum(memory: Memory, position: number, dataEnd: number, index: number): number {
    const from = position + ENTRY_CHECKED_FROM
    const length = dataEnd - from
    if (memory.address >= 0) return kernel!.indexedCrc(memory.address + from, length, this.#logSeed, index) >>> 0
    if (kernel === undefined || length >= NATIVE_MIN_BYTES) {
      return crc32(memory.bytes, from, dataEnd, indexSeed(index, this.#logSeed))
    }
    // Even with the copy the kernel is faster. What lies on the stage is of use only as long as a scan runs, which calls no other.
    const { stage } = kernel
    stage.bytes.set(memory.bytes.subarray(from, dataEnd))
    return kernel.indexedCrc(stage.address, length, this.#logSeed, index) >>> 0
  }

  /** Why the entry at `state.offset` was not accepted: the window may be too short (`need`), the commit, or the entry bad (0). */
  #explain(window: Window, state: ScanState, available: number, need: number): ScanStop {
    if (need > 0 && state.offset + need <= state.commitEnd) return { kind: 'more', need }
    return bad(window, state, available, `entry ${state.index} does not match its checksum`)
  }
}

/** The entry whose header lies at `position`, already checked. Its data are a view of the window. */
function entryAt(window: Window, place: Place, position: number, index: number): Entry<Buffer> {
  const { bytes, words } = window
  const word = position >> 2
  const inTransaction = (words[word + 2]! & FLAG_IN_TRANSACTION) !== 0
  const dataAt = position + ENTRY_HEADER_BYTES + (inTransaction ? TRANSACTION_ID_BYTES : 0)
  const entry: Entry<Buffer> = {
    index,
    term: readU64(words, word + 6),
    timestamp: window.doubles[(position + 16) >> 3]!,
    data: new BufferView(place.buffer, place.byteOffset + dataAt, words[word + 1]!),
    checksum: words[word]! >>> 0,
  }
  if (inTransaction) entry.transactionId = bytes.toString('hex', position + ENTRY_HEADER_BYTES, dataAt)
  return entry
}

/** Copies what is to be scanned to where the kernel sees it; false where it has to be done without. */
function stage(window: Window, from: number, available: number): boolean {
  if (kernel === undefined || window.length > kernel.stage.bytes.length) return false
  const { start, bytes } = window
  if (bytes === kernel.stage.bytes) return true
  kernel.stage.bytes.set(bytes.subarray(from - start, Math.max(from, available) - start), from - start)
  return true
}

interface KernelRun {
  base: number
  /** Offset in the file of what lies at `base`. */
  start: number
  count: number
  /** How many entries had been found before this run. */
  before: number
}

/** Notes the times of the entries that the kernel has just found. */
function noteTimes(notes: ScanNotes, base: number, count: number): void {
  const { slots, times } = kernel!
  if (count === 0) return
  kernel!.timeRange(base, count, slots.byteOffset)
  noteTime(notes, times[0]!)
  noteTime(notes, times[1]!)
}

/** Moves the state to where the kernel stopped. */
function noteProgress(state: ScanState, result: Int32Array, { base, start, count, before }: KernelRun): void {
  const { batch, remaining, index } = state
  const wholeBatches = result[4]!
  if (wholeBatches > 0) {
    batch.offset = start + result[5]! - base
    batch.index = index + wholeBatches
    batch.remaining = remaining - wholeBatches
    batch.bodyCrc = result[6]! >>> 0
    batch.found = before + wholeBatches
  }
  state.offset = start + result[0]! - base
  state.index = index + count
  state.remaining = remaining - count
  state.bodyCrc = result[3]! >>> 0
}

function bodyCrcOf(memory: Memory, from: number, end: number, positions: EntryPositions | undefined): number {
  if (memory.address < 0) return bodyCrcByWalking(memory, from, end)
  if (positions === undefined) return kernel!.bodyCrc(memory.address + from, memory.address + end)
  return bodyCrcAt(memory, positions)
}

function bodyCrcByWalking(memory: Memory, from: number, end: number): number {
  const { bytes, words } = memory
  let crc = 0
  for (let position = from; position < end; ) {
    crc = crc32(bytes, position, position + 8, crc)
    const word = position >> 2
    const extra = (words[word + 2]! & FLAG_IN_TRANSACTION) === 0 ? 0 : TRANSACTION_ID_BYTES
    position = align8(position + ENTRY_HEADER_BYTES + extra + words[word + 1]!)
  }
  return crc
}

function bad(window: Window, state: ScanState, available: number, reason: string): ScanStop {
  const { offset } = state
  const from = offset - window.start
  let blank = true
  for (let at = from; at < available - window.start && at < from + COMMIT_HEADER_BYTES; at++)
    if (window.bytes[at] !== 0) blank = false
  return { kind: 'bad', offset, reason, blank }
}

function align8(n: number): number {
  return (n + 7) & ~7
}
