import { BLOCK_PAYLOAD_OFFSET, openBlock, sealBlock } from '../codec/block.js'
import { readFully, readFullySync, writeFully } from './transfer.js'
import type { File, FileSystem } from './types.js'

/**
 * A small value that is overwritten in place and survives every crash: manifest, mark and checkpoint files.
 *
 * ```
 *  0                              4096                            8192
 *  | slot 0                        | slot 1                        |
 *
 *  0 of a slot     32         40       44      48
 *  | envelope      | sequence | length | zeros | payload, zeros to the end |
 *  | see block.ts  | u64      | u32    | u32   | at most 4048 bytes        |
 * ```
 *
 * Little endian. The newest valid slot counts. A write goes to the other slot, so one that is torn leaves the value before it.
 */
const SLOT_BYTES = 4096
const SEQUENCE_OFFSET = BLOCK_PAYLOAD_OFFSET
const LENGTH_OFFSET = SEQUENCE_OFFSET + 8
const PAYLOAD_OFFSET = LENGTH_OFFSET + 4 + 4

/** The size of the file, from its creation on: overwriting it never needs space. */
export const TWO_SLOT_FILE_BYTES = 2 * SLOT_BYTES
/** The largest payload. */
export const TWO_SLOT_PAYLOAD_MAX_BYTES = SLOT_BYTES - PAYLOAD_OFFSET

/** What a two-slot file holds. */
export type SlotContent =
  | { kind: 'ok'; payload: Uint8Array }
  /** Neither slot is valid. */
  | { kind: 'corrupt' }
  /** The newest slot was written by a later version. */
  | { kind: 'unsupported'; version: number; incompatible: number }

/** What a look at both slots found: the value, and which slot could not have given it. */
export type SlotInspection =
  | { kind: 'ok'; payload: Uint8Array; damagedSlot: { slot: 0 | 1; offset: number } | undefined }
  | { kind: 'missing' }
  | Exclude<SlotContent, { kind: 'ok' }>

/** How often a slot is read before it counts as damaged rather than as being written. */
const INSPECTIONS = 4

/** What opening a two-slot file for write found. */
export type TwoSlotOpening =
  | { kind: 'ok'; file: TwoSlotFile; payload: Uint8Array }
  | { kind: 'missing' }
  | Exclude<SlotContent, { kind: 'ok' }>

/** Answers with an Error of the file system only where the call itself failed; what lies in the file is never an exception. */
export class TwoSlotFile {
  readonly path: string
  readonly #file: File
  readonly #magic: string
  #sequence: bigint
  /** The slot the next write goes to. The other one holds the last value, and is not touched before this one is durable. */
  #target: 0 | 1
  /** A value found at opening, whose sync nobody alive has seen: it is written again before the other slot is given up. */
  #unproven: { slot: 0 | 1; block: Uint8Array } | undefined
  #queue: Promise<void> = Promise.resolve()

  private constructor(path: string, file: File, magic: string, newest: { slot: 0 | 1; sequence: bigint }) {
    this.path = path
    this.#file = file
    this.#magic = magic
    this.#sequence = newest.sequence
    this.#target = other(newest.slot)
  }

  /**
   * Creates the file (EEXIST when there is one) with the payload in both slots. Its name is not durable before
   * `fs.syncDirectory`, and a crash may leave it half written: where that matters, use `publish`.
   */
  static async create(
    fs: FileSystem,
    path: string,
    magic: string,
    payload: Uint8Array,
    options: { sync: boolean },
  ): Promise<TwoSlotFile> {
    const both = new Uint8Array(TWO_SLOT_FILE_BYTES)
    both.set(slotBlock(magic, 1n, payload), 0)
    both.set(slotBlock(magic, 2n, payload), SLOT_BYTES)
    const file = await fs.open(path, 'create')
    const written = options.sync ? writeFully(file, both, 0).then(() => file.sync()) : writeFully(file, both, 0)
    await closingOnError(file, written)
    return new TwoSlotFile(path, file, magic, { slot: 1, sequence: 2n })
  }

  /**
   * Creates the file under its name whole or not at all: written as `<path>.tmp`, synced, renamed. A tmp that an earlier crash
   * left is replaced. The new name is durable once the caller has synced the directory.
   */
  static async publish(fs: FileSystem, path: string, magic: string, payload: Uint8Array): Promise<TwoSlotFile> {
    const temporary = `${path}.tmp`
    if (await fs.stat(temporary)) await fs.unlink(temporary)
    const created = await TwoSlotFile.create(fs, temporary, magic, payload, { sync: true })
    await closingOnError(created, fs.rename(temporary, path))
    return new TwoSlotFile(path, created.#file, magic, { slot: 1, sequence: 2n })
  }

  /** Opens for write. */
  static async open(fs: FileSystem, path: string, magic: string): Promise<TwoSlotOpening> {
    const file = await openIfThere(fs, path, 'write')
    if (!file) return { kind: 'missing' }
    const newest = await closingOnError(file, (async () => readNewestSync(file, magic))())
    if (newest.kind !== 'ok') {
      await file.close()
      return outcome(newest)
    }
    const opened = new TwoSlotFile(path, file, magic, newest)
    opened.#unproven = newest
    return { kind: 'ok', file: opened, payload: payloadOf(newest.block) }
  }

  /** Reads the value without opening for write: for followers and inspection, also beside a live writer. */
  static async read(fs: FileSystem, path: string, magic: string): Promise<SlotContent | { kind: 'missing' }> {
    const file = await openIfThere(fs, path, 'read')
    if (!file) return { kind: 'missing' }
    try {
      return await readSlots(file, magic)
    } finally {
      await file.close()
    }
  }

  /** As `read`, and says when only one slot is whole: for tools that look for damage. */
  static async inspect(fs: FileSystem, path: string, magic: string): Promise<SlotInspection> {
    const file = await openIfThere(fs, path, 'read')
    if (!file) return { kind: 'missing' }
    try {
      let newest = await readNewest(file, magic)
      for (let times = 1; times < INSPECTIONS && newest.damaged; times++) newest = await readNewest(file, magic)
      if (newest.kind !== 'ok') return outcome(newest)
      const bad = other(newest.slot)
      const damagedSlot = newest.damaged ? { slot: bad, offset: bad * SLOT_BYTES } : undefined
      return { kind: 'ok', payload: payloadOf(newest.block), damagedSlot }
    } finally {
      await file.close()
    }
  }

  /** As `read`, blocking: for a value that is asked for in a call that answers at once. */
  static readSync(fs: FileSystem, path: string, magic: string): SlotContent | { kind: 'missing' } {
    const file = openIfThereSync(fs, path)
    if (!file) return { kind: 'missing' }
    try {
      return contentOf(readNewestSync(file, magic))
    } finally {
      file.closeSync()
    }
  }

  /**
   * Stores a new value; the payload is copied at the call. Calls take effect in order. With `sync` it is durable once this resolves.
   * Without, a power cut may take back every value since the last synced one, but not that one. `both`: writes both slots, one
   * after the other, each with its own sync, so that from then on one rotten slot loses nothing. After a failure
   * the file holds the value before or this one.
   */
  write(payload: Uint8Array, options: { sync: boolean; both?: boolean }): Promise<void> {
    // Not `slice`, which a Buffer answers with a view.
    const copy = new Uint8Array(payload)
    const run = async () => {
      if (options.both) await this.#store(copy, true)
      await this.#store(copy, options.sync || options.both === true)
    }
    const result = this.#queue.then(run)
    // The caller gets the failure from `result`; the queue only orders.
    this.#queue = result.catch(() => {})
    return result
  }

  /** Waits for the writes under way and closes the file. */
  async close(): Promise<void> {
    await this.#queue
    await this.#file.close()
  }

  async #store(payload: Uint8Array, sync: boolean): Promise<void> {
    if (sync) await this.#prove()
    await writeFully(this.#file, slotBlock(this.#magic, this.#sequence + 1n, payload), this.#target * SLOT_BYTES)
    this.#sequence++
    if (!sync) return
    await this.#file.sync()
    this.#target = other(this.#target)
  }

  /**
   * What was read at opening may be in the page cache only, its write-back having failed in a process that is gone. Writing the
   * same bytes again in place and syncing makes it true, or says that it cannot be.
   */
  async #prove(): Promise<void> {
    if (!this.#unproven) return
    await writeFully(this.#file, this.#unproven.block, this.#unproven.slot * SLOT_BYTES)
    await this.#file.sync()
    this.#unproven = undefined
  }
}

/**
 * Reads the value from an open file. A slot that a live writer is just overwriting looks torn, and the other one may be old, so
 * a bad slot is read a second time before it counts as bad.
 */
export async function readSlots(file: File, magic: string): Promise<SlotContent> {
  const first = await readNewest(file, magic)
  const newest = first.damaged ? await readNewest(file, magic) : first
  return contentOf(newest)
}

function contentOf(newest: Slot): SlotContent {
  return newest.kind === 'ok' ? { kind: 'ok', payload: payloadOf(newest.block) } : outcome(newest)
}

type Slot =
  | { kind: 'ok'; slot: 0 | 1; sequence: bigint; block: Uint8Array; damaged: boolean }
  | { kind: 'unsupported'; sequence: bigint; version: number; incompatible: number; damaged: boolean }
  | { kind: 'corrupt'; damaged: true }

async function readNewest(file: File, magic: string): Promise<Slot> {
  // Beyond a file's end the buffer stays zero, and a blank slot is a bad one.
  const bytes = new Uint8Array(TWO_SLOT_FILE_BYTES)
  await readFully(file, bytes, bytes.length, 0)
  return newestOf(bytes, magic)
}

function readNewestSync(file: File, magic: string): Slot {
  const bytes = new Uint8Array(TWO_SLOT_FILE_BYTES)
  readFullySync(file, bytes, bytes.length, 0)
  return newestOf(bytes, magic)
}

function newestOf(bytes: Uint8Array, magic: string): Slot {
  const a = judge(bytes.subarray(0, SLOT_BYTES), 0, magic)
  const b = judge(bytes.subarray(SLOT_BYTES), 1, magic)
  if (a.kind === 'corrupt') return { ...b, damaged: true }
  if (b.kind === 'corrupt') return { ...a, damaged: true }
  return a.sequence > b.sequence ? a : b
}

function judge(block: Uint8Array, slot: 0 | 1, magic: string): Slot {
  const state = openBlock(block, magic)
  if (state.kind === 'blank' || state.kind === 'corrupt') return { kind: 'corrupt', damaged: true }
  const view = viewOf(block)
  const sequence = view.getBigUint64(SEQUENCE_OFFSET, true)
  if (state.kind === 'unsupported') return { ...state, sequence, damaged: false }
  if (view.getUint32(LENGTH_OFFSET, true) > TWO_SLOT_PAYLOAD_MAX_BYTES) return { kind: 'corrupt', damaged: true }
  return { kind: 'ok', slot, sequence, block, damaged: false }
}

function slotBlock(magic: string, sequence: bigint, payload: Uint8Array): Uint8Array {
  if (payload.length > TWO_SLOT_PAYLOAD_MAX_BYTES) {
    throw new RangeError(`A slot holds ${TWO_SLOT_PAYLOAD_MAX_BYTES} bytes, got ${payload.length}`)
  }
  const block = new Uint8Array(SLOT_BYTES)
  const view = viewOf(block)
  view.setBigUint64(SEQUENCE_OFFSET, sequence, true)
  view.setUint32(LENGTH_OFFSET, payload.length, true)
  block.set(payload, PAYLOAD_OFFSET)
  sealBlock(block, magic)
  return block
}

function payloadOf(block: Uint8Array): Uint8Array {
  return block.slice(PAYLOAD_OFFSET, PAYLOAD_OFFSET + viewOf(block).getUint32(LENGTH_OFFSET, true))
}

function viewOf(block: Uint8Array): DataView {
  return new DataView(block.buffer, block.byteOffset, block.byteLength)
}

function other(slot: 0 | 1): 0 | 1 {
  return slot === 0 ? 1 : 0
}

function outcome(slot: Exclude<Slot, { kind: 'ok' }>): Exclude<SlotContent, { kind: 'ok' }> {
  if (slot.kind === 'corrupt') return { kind: 'corrupt' }
  return { kind: 'unsupported', version: slot.version, incompatible: slot.incompatible }
}

/** Closes what nobody will use when `work` fails. */
export async function closingOnError<T>(closable: { close(): Promise<void> }, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    await closable.close()
    throw error
  }
}

async function openIfThere(fs: FileSystem, path: string, mode: 'read' | 'write'): Promise<File | undefined> {
  try {
    return await fs.open(path, mode)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function openIfThereSync(fs: FileSystem, path: string): File | undefined {
  try {
    return fs.openSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
