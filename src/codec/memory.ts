/** Memory that entries are written to and scanned in: one run of bytes with the views the codec needs. */
export interface Memory {
  readonly bytes: Buffer
  readonly words: Int32Array
  readonly doubles: Float64Array
  /** Where the kernel sees it; -1 for memory of JavaScript. */
  readonly address: number
}

/** Memory that holds the bytes of a segment file from offset `start` on; the first `length` of them are valid. */
export interface Window extends Memory {
  readonly start: number
  readonly length: number
}

/** `size` bytes (rounded up to 8) of memory, not zeroed: whoever writes it pads it. */
export function allocateMemory(size: number): Memory {
  return viewMemory(Buffer.allocUnsafeSlow(Math.ceil(size / 8) * 8))
}

/** The codec's views over a buffer whose start and length are multiples of 8. */
export function viewMemory(bytes: Buffer, address = -1): Memory {
  const { buffer, byteOffset, length } = bytes
  return {
    bytes,
    words: new Int32Array(buffer, byteOffset, length >> 2),
    doubles: new Float64Array(buffer, byteOffset, length >> 3),
    address,
  }
}

/** Bits of a slot in `EntryPositions` beside the position: the entry is the first of its commit, the last of its batch. */
export const FIRST_OF_COMMIT = 0x80000000 | 0
export const ENDS_BATCH = 0x40000000
export const POSITION_MASK = 0x3fffffff

/** Positions of entries in a window: a growable typed array, reused from scan to scan. */
export class EntryPositions {
  /** Position, in the unit its owner chose, with FIRST_OF_COMMIT and ENDS_BATCH where they apply. */
  slots: Int32Array
  count = 0

  constructor(capacity = 64) {
    this.slots = new Int32Array(capacity)
  }

  clear(): void {
    this.count = 0
  }

  push(slot: number): void {
    if (this.count === this.slots.length) this.#grow(this.count + 1)
    this.slots[this.count++] = slot
  }

  pushAll(slots: Int32Array): void {
    if (this.count + slots.length > this.slots.length) this.#grow(this.count + slots.length)
    this.slots.set(slots, this.count)
    this.count += slots.length
  }

  /** Adds what was found in a window that begins at `start` of the file, as positions in the file in units of `alignment`. */
  pushScaled({ slots, count }: EntryPositions, start: number, alignment: number): void {
    if (this.count + count > this.slots.length) this.#grow(this.count + count)
    const target = this.slots
    let at = this.count
    for (let i = 0; i < count; i++) {
      const slot = slots[i]!
      target[at++] = ((start + (slot & POSITION_MASK)) / alignment) | (slot & ~POSITION_MASK)
    }
    this.count = at
  }

  #grow(atLeast: number): void {
    const larger = new Int32Array(Math.max(atLeast, this.slots.length * 2))
    larger.set(this.slots)
    this.slots = larger
  }

  /** A copy of its own size with every position lowered by `shift`: for what is kept. */
  compact(shift: number): EntryPositions {
    const copy = new EntryPositions(0)
    copy.slots = this.slots.slice(0, this.count)
    for (let i = 0; shift !== 0 && i < copy.slots.length; i++) copy.slots[i] = copy.slots[i]! - shift
    copy.count = this.count
    return copy
  }
}

/** Where a walk through a segment stands. Mutable: `scan` moves it forward. */
export interface ScanState {
  binding: number
  /** The limit stored in the segment's header. */
  maxEntryBytes: number
  /** Offset of the next byte to interpret. */
  offset: number
  /** The walk ends here: file size, committed end, or the end the successor names. */
  limit: number
  /** Index of the next entry. */
  index: number
  /** Entries of the commit under way still to come; 0 means `offset` is at a commit's start. */
  remaining: number
  /** Offset where the commit under way ends. */
  commitEnd: number
  bodyCrc: number
  expectedBodyCrc: number
  /** CRC of the last commit begun. */
  commitCrc: number
  /** CRC the next commit must name; undefined when the walk began in the middle of the segment. */
  previousCrc: number | undefined
  /** Largest `provenEnd` of the commits seen whole. */
  provenEnd: number
  /** `provenEnd` of the commit under way. */
  commitProvenEnd: number
  /** Start of the last commit seen whole; 0 when there was none. */
  lastCommitOffset: number
  /** End of the last commit seen whole, or where the walk began. */
  wholeEnd: number
  /** Index behind the last entry of a whole commit. */
  wholeIndex: number
  /** Start of the commit under way. */
  commitOffset: number
  /** Where given, what the walk passes on its way is noted there, also of a commit that turns out not to be whole. */
  notes: ScanNotes | undefined
  /** The state behind the last whole batch of the commit under way: where `rewindToBatch` goes back to. */
  batch: { offset: number; index: number; remaining: number; bodyCrc: number; found: number }
}

/** What an opening wants to know of what it scans; a reader does not pay for it. */
export interface ScanNotes {
  /** Where commits begin: offset in the file, index of the first entry. */
  commits: { offset: number; firstIndex: number }[]
  /** Infinity and -Infinity before the first entry. */
  minTimestamp: number
  maxTimestamp: number
}

/** For a walk that notes what it passes. */
export function noNotes(): ScanNotes {
  return { commits: [], minTimestamp: Infinity, maxTimestamp: -Infinity }
}

/** A walk that begins at the start of a commit. */
export function startScan(at: ScanStart): ScanState {
  return {
    ...at,
    notes: at.notes,
    remaining: 0,
    commitEnd: 0,
    bodyCrc: 0,
    expectedBodyCrc: 0,
    commitCrc: at.previousCrc ?? 0,
    provenEnd: 0,
    commitProvenEnd: 0,
    lastCommitOffset: 0,
    wholeEnd: at.offset,
    wholeIndex: at.index,
    commitOffset: at.offset,
    batch: { offset: at.offset, index: at.index, remaining: 0, bodyCrc: 0, found: 0 },
  }
}

export type ScanStart = Pick<ScanState, 'binding' | 'maxEntryBytes' | 'offset' | 'limit' | 'index' | 'previousCrc'> &
  Partial<Pick<ScanState, 'notes'>>

/** Widens the range of times that is noted. */
export function noteTime(notes: ScanNotes, timestamp: number): void {
  if (timestamp < notes.minTimestamp) notes.minTimestamp = timestamp
  if (timestamp > notes.maxTimestamp) notes.maxTimestamp = timestamp
}

/** Goes back to the end of the last whole batch, so that a window that cuts a batch in two hands out none of it. */
export function rewindToBatch(state: ScanState, found: EntryPositions): void {
  const { offset, index, remaining, bodyCrc } = state.batch
  Object.assign(state, { offset, index, remaining, bodyCrc })
  found.count = state.batch.found
}
