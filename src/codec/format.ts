import type { Entry } from '../types.js'
import type { EntryPositions, Memory, ScanState, Window } from './memory.js'

/**
 * What a layout of segment files must be able to do. `binary.ts` draws the bytes of the one, `ndjson.ts` of the other; nothing
 * outside this folder knows a byte position inside a commit.
 */
export interface Format {
  readonly name: FormatName
  /** Bytes a reader must have to decode any header. */
  readonly headerBytes: number
  /** Commits lie at multiples of this. */
  readonly alignment: number
  /** Bytes a commit needs before its first entry. */
  readonly commitPrefixBytes: number
  /** Most bytes `sealCommit` adds behind the last entry. */
  readonly commitSuffixBytes: number
  /** The header's bytes; the first commit starts right behind them. */
  encodeHeader(header: SegmentHeader): Buffer
  decodeHeader(bytes: Buffer): HeaderOutcome
  /** What ties a segment's commits to it: goes into `CommitSeal.binding` and `ScanState.binding`. */
  bind(header: SegmentHeader): number
  /** Most bytes an entry with this payload can take. */
  entryBytes(payload: Uint8Array, inTransaction: boolean): number
  /** Writes one entry into `memory` at `position` and returns the position behind it. */
  writeEntry(memory: Memory, position: number, fields: EntryFields, payload: Uint8Array): number
  /** Completes the commit whose bytes lie in `memory` at [start, end): its place is known only now. */
  sealCommit(memory: Memory, start: number, end: number, seal: CommitSeal): SealedCommit
  /** Walks commits and entries from `state`, checking everything, until the window ends or something is bad. */
  scan(window: Window, state: ScanState, found: EntryPositions): ScanStop
  /** Index of the entry that begins a commit at `position`; undefined when none does. For a commit that is known to be there. */
  firstIndexAt(window: Window, position: number, binding: number): number | undefined
  /** The commit frame that belongs exactly at `position` of the window, if one is readable: for searching behind damage. */
  probeCommit(window: Window, position: number, binding: number): CommitProbe | undefined
  /** Checks one entry alone, as `get` reads it; undefined when it is not whole or not that entry. */
  readEntry(window: Window, position: number, index: number): Entry<Buffer> | undefined
  /**
   * Bytes of the entry whose beginning may stand at `position` (more than the window has: look again with so many); undefined when
   * nothing there looks like one. For searching entries in damaged content: whether it is one only `readEntry` knows.
   */
  entrySpan(window: Window, position: number): number | undefined
  /** Calls back with timestamp and term of every entry found. */
  eachStamp(window: Window, found: EntryPositions, visit: (timestamp: number, term: number) => void): void
  /**
   * Takes the frame off a whole commit whose bytes are memory[0, end), as far as it is in the way of `sealCommit`; returns where its
   * entries end then. The first of them lies at `commitPrefixBytes`.
   */
  unsealCommit(memory: Memory, end: number): number
  /** Builds the entries [from, to) of a scanned window, the first of which has `firstIndex`; their data are views of it. */
  materialize(window: Window, found: EntryPositions, range: EntrySlice): Entry<Buffer>[]
}

export type FormatName = 'binary' | 'ndjson'

export interface EntrySlice {
  from: number
  to: number
  /** Index of the entry in slot `from`. */
  firstIndex: number
}

/** The fields of the entry being written: one object per writer, reused, so that an append allocates nothing here. */
export interface EntryFields {
  index: number
  term: number
  timestamp: number
  flags: number
  /** 16 hex digits, or undefined outside transactions. */
  transactionId: string | undefined
}

/** Entry flags. The low half must be understood by a reader, the high half may be ignored by it. */
export const FLAG_ENDS_BATCH = 1
export const FLAG_IN_TRANSACTION = 2
export const UNKNOWN_INCOMPATIBLE_FLAGS = 0xffff & ~(FLAG_ENDS_BATCH | FLAG_IN_TRANSACTION)

/** What a commit's frame says that is known only when its place is. */
export interface CommitSeal {
  binding: number
  /** Byte offset of the commit in its segment. */
  offset: number
  firstIndex: number
  count: number
  /** Bytes of the segment below this offset had been synced when this commit was written. */
  provenEnd: number
  /** CRC of the commit before, or of the predecessor's last. */
  previousCrc: number
  /** Positions of its entries in the memory, where they are known: then nobody has to look for them. */
  positions?: EntryPositions
}

export interface SealedCommit {
  /** Position in the memory behind the commit. */
  end: number
  /** Identifies the commit; the next one repeats it. */
  crc: number
}

export interface CommitProbe {
  /** Byte offset of the commit in its segment. */
  offset: number
  firstIndex: number
  count: number
  provenEnd: number
}

export type ScanStop =
  /** The window ends here; the walk must see `need` bytes from `state.offset` on to go on. */
  | { kind: 'more'; need: number }
  /** Everything up to `state.limit` was walked. */
  | { kind: 'end' }
  /** Nothing valid begins at `offset`. `blank`: only because zeros stand there. */
  | { kind: 'bad'; offset: number; reason: string; blank: boolean }
  /** An intact entry with a flag that a later version must have set. */
  | { kind: 'unsupported'; offset: number; flags: number }

export interface Epoch {
  counter: number
  /** 16 hex digits, random: two histories with the same counter are told apart by it. */
  id: string
  /** First index written in this epoch. */
  startIndex: number
}

export interface Predecessor {
  id: number
  /** Bytes from here on in the predecessor's file are not part of the log. */
  endOffset: number
  lastIndex: number
  /** CRC of its last commit (of its own predecessor's, when it holds none). */
  commitCrc: number
  /** Infinity and -Infinity when it holds no entry. */
  minTimestamp: number
  maxTimestamp: number
  /** Milliseconds since the Unix epoch, by the writer's clock. */
  sealedAt: number
  /** Term of its last entry (or of the last one before). */
  lastTerm: number
}

/** What the first bytes of a segment file say. */
export interface SegmentHeader {
  /** 32 hex digits. */
  logId: string
  id: number
  firstIndex: number
  epoch: Epoch
  format: FormatName
  encoding: string
  maxEntryBytes: number
  maxBatchBytes: number
  /** 32 hex digits, random per file: stale bytes of another file never decode in this one. */
  salt: string
  createdAt: number
  /** Content the file was published with, durable before its name was: its end (0: none) and last index. */
  publishedEnd: number
  publishedLastIndex: number
  /** No predecessor: the chain starts here. */
  begins: boolean
  /** Indexes declared lost before this segment (salvaged logs). */
  gap: { firstIndex: number; lastIndex: number } | undefined
  predecessor: Predecessor | undefined
}

export type HeaderOutcome =
  | { kind: 'ok'; header: SegmentHeader; contentStart: number }
  | { kind: 'corrupt' }
  | { kind: 'unsupported'; version: number }
