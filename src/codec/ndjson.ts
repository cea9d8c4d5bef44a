import { isUtf8 } from 'node:buffer'
import type { Entry } from '../types.js'
import { crc32 } from './crc32.js'
import { entryChecksum } from './entry-checksum.js'
import {
  type CommitProbe,
  type CommitSeal,
  type EntryFields,
  type EntrySlice,
  FLAG_ENDS_BATCH,
  type Format,
  type HeaderOutcome,
  type ScanStop,
  type SealedCommit,
  type SegmentHeader,
  UNKNOWN_INCOMPATIBLE_FLAGS,
} from './format.js'
import {
  ENDS_BATCH,
  type EntryPositions,
  FIRST_OF_COMMIT,
  type Memory,
  noteTime,
  POSITION_MASK,
  type ScanState,
  type Window,
} from './memory.js'
import { decodeNdjsonHeader, encodeNdjsonHeader, NDJSON_HEADER_MAX_BYTES } from './ndjson-header.js'
import { logSeed, segmentBinding } from './seeds.js'
import { indexSeed } from './u64.js'

/*
 * Text from the first byte to the last: after the header's line one line per entry,
 *
 *   {"index":7,"term":0,"timestamp":1700000000000,"flags":1,"checksum":123,"data":<the data's own text>}
 *   {"index":8,"term":0,"timestamp":1700000000000,"flags":3,"transactionId":"00112233aabbccdd","checksum":123,"base64":"/w=="}
 *
 * and in the last line of a commit, before its closing brace,
 *
 *   ,"commit":{"first":7,"count":2,"bytes":198,"provenEnd":812,"previous":123,"crc":123,"seal":123}
 *
 *   bytes  length of the commit's lines up to the comma in front of "commit"; crc is over exactly these
 *   seal   CRC over salt, segment id, the commit's offset in the file, and the text from that comma up to the one in front of "seal"
 *
 * The order of the keys and the absence of white space are part of the format. `data` is inline where it is one line of valid JSON, and then
 * to the letter what was given; anything else is `base64`.
 */
const ENTRY =
  /^\{"index":(\d+),"term":(\d+),"timestamp":(-?[\d.e+-]+),"flags":(\d+),(?:"transactionId":"([\da-f]{16})",)?"checksum":(\d+),"(data|base64)":/
const ENTRY_PREFIX_MAX_BYTES = 256
const COMMIT =
  /^,"commit":\{"first":(\d+),"count":(\d+),"bytes":(\d+),"provenEnd":(\d+),"previous":(\d+),"crc":(\d+),"seal":(\d+)\}\}$/
const ENTRY_START = Buffer.from('{"index":')
const COMMIT_START = Buffer.from(',"commit":{"first":')
const COMMIT_MAX_BYTES = 256
const NEWLINE = 10
const OPENING_BRACE = 0x7b
const BRACE = 0x7d

/** A line's fields and where its data lie in the window. */
interface Line {
  fields: EntryFields
  checksum: number
  isBase64: boolean
  dataAt: number
  dataEnd: number
}

/** The closing part of a commit: what it says, and where in the window it begins. */
interface Seal {
  position: number
  first: number
  count: number
  bytes: number
  provenEnd: number
  previous: number
  crc: number
  seal: number
}

/** The ndjson layout of one log: a line of JSON per entry, for `jq` and `tail -f`. */
export class NdjsonFormat implements Format {
  readonly name = 'ndjson'
  readonly headerBytes = NDJSON_HEADER_MAX_BYTES
  readonly alignment = 1
  readonly commitPrefixBytes = 0
  readonly commitSuffixBytes = COMMIT_MAX_BYTES
  readonly #logSeed: number

  /** `logId`: 32 hex digits. */
  constructor(logId: string) {
    this.#logSeed = logSeed(logId)
  }

  encodeHeader(header: SegmentHeader): Buffer {
    return encodeNdjsonHeader(header)
  }

  decodeHeader(bytes: Buffer): HeaderOutcome {
    return decodeNdjsonHeader(bytes)
  }

  bind(header: SegmentHeader): number {
    return segmentBinding(header)
  }

  entryBytes(payload: Uint8Array): number {
    return ENTRY_PREFIX_MAX_BYTES + 4 * Math.ceil(payload.length / 3) + 4
  }

  writeEntry({ bytes }: Memory, position: number, fields: EntryFields, payload: Uint8Array): number {
    const { index, term, timestamp, flags, transactionId } = fields
    const id = transactionId === undefined ? '' : `"transactionId":"${transactionId}",`
    const checksum = entryChecksum(this.#logSeed, fields, payload)
    let at = position
    at += bytes.write(
      `{"index":${index},"term":${term},"timestamp":${timestamp},"flags":${flags},${id}"checksum":${checksum},`,
      at,
      'latin1',
    )
    if (isInlineJson(payload)) {
      at += bytes.write('"data":', at, 'latin1')
      bytes.set(payload, at)
      at += payload.length
    } else {
      const text = Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('base64')
      at += bytes.write(`"base64":"${text}"`, at, 'latin1')
    }
    return at + bytes.write('}\n', at, 'latin1')
  }

  sealCommit({ bytes }: Memory, start: number, end: number, seal: CommitSeal): SealedCommit {
    // The last line's closing brace and newline make room for the seal, and follow it again.
    const at = end - 2
    const { firstIndex, count, provenEnd, previousCrc } = seal
    const crc = crc32(bytes, start, at)
    const text = `,"commit":{"first":${firstIndex},"count":${count},"bytes":${at - start},"provenEnd":${provenEnd},"previous":${previousCrc},"crc":${crc}`
    const sealEnd = at + bytes.write(text, at, 'latin1')
    const sealCrc = crc32(bytes, at, sealEnd, indexSeed(seal.offset, seal.binding))
    return { end: sealEnd + bytes.write(`,"seal":${sealCrc}}}\n`, sealEnd, 'latin1'), crc: sealCrc }
  }

  scan(window: Window, state: ScanState, found: EntryPositions): ScanStop {
    const available = Math.min(window.start + window.length, state.limit) - window.start
    while (state.offset < state.limit) {
      const position = state.offset - window.start
      const lines = this.#linesOfCommit(window, position, { available, maxLineBytes: maxLineBytes(state) })
      if (lines === undefined) return unfinished(window, state, available)
      if (lines === 'no entry')
        return { kind: 'bad', offset: state.offset, reason: 'a line that is no entry', blank: false }
      const stop = this.#scanCommit(window, state, found, lines)
      if (stop !== undefined) return stop
    }
    return { kind: 'end' }
  }

  firstIndexAt(window: Window, position: number): number | undefined {
    return parseLine(window, position, window.length)?.fields.index
  }

  probeCommit(window: Window, position: number, binding: number): CommitProbe | undefined {
    const { bytes } = window
    if (
      bytes[position] !== COMMIT_START[0] ||
      bytes.compare(
        COMMIT_START,
        0,
        COMMIT_START.length,
        position,
        Math.min(position + COMMIT_START.length, bytes.length),
      ) !== 0
    )
      return undefined
    const end = bytes.indexOf(NEWLINE, position)
    const seal = end < 0 || end > window.length ? undefined : parseSeal(window, position, end)
    if (seal === undefined || !isSealed(window, seal, binding)) return undefined
    return {
      offset: window.start + seal.position - seal.bytes,
      firstIndex: seal.first,
      count: seal.count,
      provenEnd: seal.provenEnd,
    }
  }

  readEntry(window: Window, position: number, index: number): Entry<Buffer> | undefined {
    const line = parseLine(window, position, window.length)
    return line !== undefined && line.fields.index === index ? this.#entryOf(window, line) : undefined
  }

  entrySpan({ bytes, length }: Window, position: number): number | undefined {
    if (bytes[position] !== ENTRY_START[0] || (position > 0 && bytes[position - 1] !== NEWLINE)) return undefined
    if (!bytes.subarray(position, position + ENTRY_START.length).equals(ENTRY_START)) return undefined
    const end = bytes.indexOf(NEWLINE, position)
    return end < 0 || end >= length ? 2 * (length - position) + ENTRY_PREFIX_MAX_BYTES : end + 1 - position
  }

  eachStamp(window: Window, found: EntryPositions, visit: (timestamp: number, term: number) => void): void {
    for (let i = 0; i < found.count; i++) {
      const { timestamp, term } = parseLine(window, found.slots[i]! & POSITION_MASK, window.length)!.fields
      visit(timestamp, term)
    }
  }

  unsealCommit({ bytes }: Memory, end: number): number {
    const seal = findSeal(bytes, 0, end - 1)!
    return seal.position + bytes.write('}\n', seal.position, 'latin1')
  }

  materialize(window: Window, found: EntryPositions, range: EntrySlice): Entry<Buffer>[] {
    const entries: Entry<Buffer>[] = []
    for (let i = range.from; i < range.to; i++) {
      const line = parseLine(window, found.slots[i]! & POSITION_MASK, window.length)!
      entries.push(entryFrom(line, payloadOf(window, line)!))
    }
    return entries
  }

  /**
   * Ends of the lines of the commit that begins at `position`, with its seal; undefined when the window does not hold all of it. What
   * cannot be an entry's line ends the search: nobody reads on to the end of a large file in the hope of a seal.
   */
  #linesOfCommit(
    { bytes }: Window,
    position: number,
    { available, maxLineBytes }: { available: number; maxLineBytes: number },
  ): CommitLines | 'no entry' | undefined {
    const ends: number[] = []
    for (let at = position; at < available; ) {
      const end = bytes.indexOf(NEWLINE, at)
      const isCut = end < 0 || end >= available
      if (bytes[at] !== OPENING_BRACE || (isCut ? available : end) - at > maxLineBytes) return 'no entry'
      if (isCut) return undefined
      ends.push(end)
      const seal = findSeal(bytes, at, end)
      if (seal !== undefined) return { ends, seal }
      at = end + 1
    }
    return undefined
  }

  #scanCommit(
    window: Window,
    state: ScanState,
    found: EntryPositions,
    { ends, seal }: CommitLines,
  ): ScanStop | undefined {
    const { bytes } = window
    const start = state.offset - window.start
    const bad = (reason: string): ScanStop => ({ kind: 'bad', offset: state.offset, reason, blank: false })
    if (seal.bytes !== seal.position - start || !isSealed(window, seal, state.binding)) return bad('no valid commit')
    if (crc32(bytes, start, seal.position) !== seal.crc) return bad('a commit that does not match its checksum')
    if (seal.first !== state.index || seal.count !== ends.length)
      return bad(`a commit that begins with index ${seal.first} instead of ${state.index}`)
    if (state.previousCrc !== undefined && seal.previous !== state.previousCrc)
      return bad('a commit that follows another than the one before it')
    const before = found.count
    let at = start
    for (let i = 0; i < ends.length; i++) {
      const line = parseLine(window, at, ends[i]! + 1)
      const fault =
        line === undefined
          ? 'a line that is no entry'
          : this.#faultOf(window, line, state.index + i, state.maxEntryBytes)
      if (fault !== undefined) {
        found.count = before
        return bad(fault)
      }
      const { flags, timestamp } = line!.fields
      if ((flags & UNKNOWN_INCOMPATIBLE_FLAGS) !== 0) {
        found.count = before
        return { kind: 'unsupported', offset: state.offset, flags }
      }
      if (state.notes !== undefined) noteTime(state.notes, timestamp)
      found.push(at | (i === 0 ? FIRST_OF_COMMIT : 0) | ((flags & FLAG_ENDS_BATCH) === 0 ? 0 : ENDS_BATCH))
      at = ends[i]! + 1
    }
    state.notes?.commits.push({ offset: state.offset, firstIndex: state.index })
    leaveCommit(state, seal, { end: window.start + at, found: found.count })
    return undefined
  }

  #faultOf(window: Window, line: Line, index: number, maxEntryBytes: number): string | undefined {
    const payload = payloadOf(window, line)
    if (payload === undefined || payload.length > maxEntryBytes || line.fields.index !== index)
      return `a line that is not entry ${index}`
    return entryChecksum(this.#logSeed, line.fields, payload) === line.checksum
      ? undefined
      : `entry ${index} does not match its checksum`
  }

  #entryOf(window: Window, line: Line): Entry<Buffer> | undefined {
    const payload = payloadOf(window, line)
    if (payload === undefined || entryChecksum(this.#logSeed, line.fields, payload) !== line.checksum) return undefined
    return entryFrom(line, payload)
  }
}

interface CommitLines {
  ends: number[]
  seal: Seal
}

function maxLineBytes({ maxEntryBytes }: ScanState): number {
  return ENTRY_PREFIX_MAX_BYTES + 4 * Math.ceil(maxEntryBytes / 3) + 4 + COMMIT_MAX_BYTES
}

/** A commit whose end is not in the window: more is needed, unless there is no more. */
function unfinished(window: Window, state: ScanState, available: number): ScanStop {
  const { offset, limit } = state
  if (window.start + available < limit)
    return { kind: 'more', need: Math.min(limit - offset, 2 * (window.start + available - offset) + COMMIT_MAX_BYTES) }
  const blank = window.bytes[offset - window.start] === 0
  return { kind: 'bad', offset, reason: 'the file ends inside a commit', blank }
}

function leaveCommit(state: ScanState, seal: Seal, at: { end: number; found: number }): void {
  state.commitOffset = state.lastCommitOffset = state.offset
  state.commitEnd = state.offset = state.wholeEnd = at.end
  state.index += seal.count
  state.wholeIndex = state.index
  state.commitCrc = state.previousCrc = seal.seal
  state.commitProvenEnd = seal.provenEnd
  state.provenEnd = Math.max(state.provenEnd, seal.provenEnd)
  state.batch = { offset: at.end, index: state.index, remaining: 0, bodyCrc: 0, found: at.found }
}

/** The seal at the end of the line [at, end), if it has one. */
function findSeal(bytes: Buffer, at: number, end: number): Seal | undefined {
  if (bytes[end - 1] !== BRACE || bytes[end - 2] !== BRACE) return undefined
  const position = bytes.lastIndexOf(COMMIT_START, end)
  return position < at || end - position > COMMIT_MAX_BYTES ? undefined : parseSeal({ bytes }, position, end)
}

function parseSeal({ bytes }: { bytes: Buffer }, position: number, end: number): Seal | undefined {
  const match = COMMIT.exec(bytes.toString('latin1', position, Math.min(end, position + COMMIT_MAX_BYTES)))
  if (match === null) return undefined
  const [first, count, length, provenEnd, previous, crc, seal] = match.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  return { position, first, count, bytes: length, provenEnd, previous, crc, seal }
}

/** Whether a seal belongs to this place of this segment. */
function isSealed({ bytes, start }: Window, seal: Seal, binding: number): boolean {
  const offset = start + seal.position - seal.bytes
  const textEnd = bytes.indexOf(',"seal":', seal.position, 'latin1')
  return offset >= 0 && crc32(bytes, seal.position, textEnd, indexSeed(offset, binding)) === seal.seal
}

/** Reads the line at `position`; undefined when it is not an entry's. `limit`: the window holds nothing behind it. */
function parseLine({ bytes }: Window, position: number, limit: number): Line | undefined {
  const found = bytes.indexOf(NEWLINE, position)
  const end = found < 0 || found >= limit ? limit : found
  const match = ENTRY.exec(bytes.toString('latin1', position, Math.min(end, position + ENTRY_PREFIX_MAX_BYTES)))
  if (match === null || end <= position || bytes[end - 1] !== BRACE) return undefined
  const [prefix, index, term, timestamp, flags, transactionId, checksum, key] = match
  const dataAt = position + prefix.length
  const dataEnd = findSeal(bytes, dataAt, end)?.position ?? end - 1
  const fields = {
    index: Number(index),
    term: Number(term),
    timestamp: Number(timestamp),
    flags: Number(flags),
    transactionId,
  }
  return { fields, checksum: Number(checksum), isBase64: key === 'base64', dataAt, dataEnd }
}

/** The data of a line: a view where they are inline. Undefined when they are not what was written. */
function payloadOf({ bytes }: Window, { dataAt, dataEnd, isBase64 }: Line): Buffer | undefined {
  if (!isBase64) return bytes.subarray(dataAt, dataEnd)
  const text = bytes.toString('latin1', dataAt + 1, dataEnd - 1)
  const payload = Buffer.from(text, 'base64')
  return payload.toString('base64') === text ? payload : undefined
}

function entryFrom({ fields, checksum }: Line, data: Buffer): Entry<Buffer> {
  const { index, term, timestamp, transactionId } = fields
  const entry: Entry<Buffer> = { index, term, timestamp, data, checksum }
  if (transactionId !== undefined) entry.transactionId = transactionId
  return entry
}

/** Whether data can stand in a line as they are. */
function isInlineJson(payload: Uint8Array): boolean {
  if (payload.length === 0 || payload.includes(NEWLINE) || payload.includes(13) || !isUtf8(payload)) return false
  try {
    JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString('utf8'))
    return true
  } catch {
    return false // Text that is no JSON is stored as bytes are.
  }
}
