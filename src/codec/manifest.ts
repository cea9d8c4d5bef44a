import type { Epoch, FormatName } from './format.js'

/** What a log remembers of itself beside its segments. Never ahead of a sync: everything named here is on stable storage. */
export interface Manifest {
  logId: string
  format: FormatName
  encoding: string
  firstIndex: number
  /** Lower bound of the newest segment's id; 0: the log is still being created. */
  newestId: number
  /** The latest epochs, oldest first; the last one is the epoch of `floor`. */
  epochs: Epoch[]
  /** The log ended in order, exactly at `floor`. */
  closed: boolean
  /** This directory is a backup that was never written to. */
  backup: boolean
  /** A position known to be durable. */
  floor: Floor
}

export interface Floor {
  segmentId: number
  offset: number
  index: number
  /** Start of the commit that ends there; 0: none in this segment. */
  commitOffset: number
  /** Time range of that segment's entries up to there. */
  minTimestamp: number
  maxTimestamp: number
  /** Term of the entry at `index`. */
  lastTerm: number
}

export const MANIFEST_MAGIC = 'WALRUSMF'
const MAX_EPOCHS = 100

/*
 * Payload of a manifest slot (two-slot-file.ts has the slot). Little endian; u64 unless said otherwise.
 *
 *     0 log id (16)      16 format u32, flags u32 (1 closed, 2 backup)      24 encoding name (u32 length, 64 bytes), zero u32
 *    96 first index     104 newest segment id
 *   112 floor: segment id, offset, index, start of its last commit
 *   144 floor: least and largest timestamp f64, last term
 *   168 number of epochs u32, zero u32     176 epochs, each: counter, id (8), start index
 */
const AT = {
  logId: 0,
  format: 16,
  flags: 20,
  nameLength: 24,
  name: 28,
  firstIndex: 96,
  newestId: 104,
  floor: 112,
  floorTimes: 144,
  epochCount: 168,
  epochs: 176,
}
const EPOCH_BYTES = 24
const FLAG_CLOSED = 1
const FLAG_BACKUP = 2
const FORMATS: readonly (FormatName | undefined)[] = [undefined, 'binary', 'ndjson']

export function encodeManifest(manifest: Manifest): Buffer {
  const epochs = manifest.epochs.slice(-MAX_EPOCHS)
  const bytes = Buffer.alloc(AT.epochs + epochs.length * EPOCH_BYTES)
  const name = Buffer.from(manifest.encoding, 'utf8')
  bytes.write(manifest.logId, AT.logId, 16, 'hex')
  bytes.writeUInt32LE(FORMATS.indexOf(manifest.format), AT.format)
  bytes.writeUInt32LE((manifest.closed ? FLAG_CLOSED : 0) | (manifest.backup ? FLAG_BACKUP : 0), AT.flags)
  bytes.writeUInt32LE(name.length, AT.nameLength)
  name.copy(bytes, AT.name)
  const { floor } = manifest
  numbersOf(manifest).forEach((value, i) => {
    putU64(bytes, AT.firstIndex + i * 8, value)
  })
  bytes.writeDoubleLE(floor.minTimestamp, AT.floorTimes)
  bytes.writeDoubleLE(floor.maxTimestamp, AT.floorTimes + 8)
  putU64(bytes, AT.floorTimes + 16, floor.lastTerm)
  bytes.writeUInt32LE(epochs.length, AT.epochCount)
  epochs.forEach((epoch, i) => {
    putEpoch(bytes, AT.epochs + i * EPOCH_BYTES, epoch)
  })
  return bytes
}

/** Decodes the payload of a slot whose checksum is good; undefined when it makes no sense all the same. */
export function decodeManifest(bytes: Buffer): Manifest | undefined {
  if (bytes.length < AT.epochs) return undefined
  const format = FORMATS[bytes.readUInt32LE(AT.format)]
  const flags = bytes.readUInt32LE(AT.flags)
  const count = bytes.readUInt32LE(AT.epochCount)
  const nameLength = bytes.readUInt32LE(AT.nameLength)
  if (format === undefined || count === 0 || count > MAX_EPOCHS || nameLength > 64) return undefined
  if (bytes.length < AT.epochs + count * EPOCH_BYTES) return undefined
  const u64 = (i: number) => getU64(bytes, AT.firstIndex + i * 8)
  const manifest: Manifest = {
    logId: bytes.toString('hex', AT.logId, AT.logId + 16),
    format,
    encoding: bytes.toString('utf8', AT.name, AT.name + nameLength),
    firstIndex: u64(0),
    newestId: u64(1),
    epochs: Array.from({ length: count }, (_, i) => getEpoch(bytes, AT.epochs + i * EPOCH_BYTES)),
    closed: (flags & FLAG_CLOSED) !== 0,
    backup: (flags & FLAG_BACKUP) !== 0,
    floor: {
      segmentId: u64(2),
      offset: u64(3),
      index: u64(4),
      commitOffset: u64(5),
      minTimestamp: bytes.readDoubleLE(AT.floorTimes),
      maxTimestamp: bytes.readDoubleLE(AT.floorTimes + 8),
      lastTerm: getU64(bytes, AT.floorTimes + 16),
    },
  }
  const epochNumbers = manifest.epochs.flatMap(({ counter, startIndex }) => [counter, startIndex])
  return [...numbersOf(manifest), ...epochNumbers].every(Number.isSafeInteger) ? manifest : undefined
}

/** The numbers from `AT.firstIndex` on, in their order on disk. */
function numbersOf({ firstIndex, newestId, floor }: Manifest): number[] {
  return [firstIndex, newestId, floor.segmentId, floor.offset, floor.index, floor.commitOffset]
}

/** How far the log is durable, for readers in other processes: as the manifest's floor, but newer and never synced. */
export interface Mark {
  logId: string
  epoch: Epoch
  segmentId: number
  offset: number
  index: number
}

export const MARK_MAGIC = 'WALRUSMK'

/** Payload of a mark slot: log id (16), epoch (24, as above), then segment id, offset, index. */
const MARK_BYTES = 16 + EPOCH_BYTES + 3 * 8

export function encodeMark(mark: Mark): Buffer {
  const bytes = Buffer.alloc(MARK_BYTES)
  bytes.write(mark.logId, 0, 16, 'hex')
  putEpoch(bytes, 16, mark.epoch)
  putU64(bytes, 40, mark.segmentId)
  putU64(bytes, 48, mark.offset)
  putU64(bytes, 56, mark.index)
  return bytes
}

/** Decodes the payload of a slot whose checksum is good; undefined when it makes no sense all the same. */
export function decodeMark(bytes: Buffer): Mark | undefined {
  if (bytes.length < MARK_BYTES) return undefined
  const mark: Mark = {
    logId: bytes.toString('hex', 0, 16),
    epoch: getEpoch(bytes, 16),
    segmentId: getU64(bytes, 40),
    offset: getU64(bytes, 48),
    index: getU64(bytes, 56),
  }
  return [mark.segmentId, mark.offset, mark.index].every(Number.isSafeInteger) ? mark : undefined
}

function putEpoch(bytes: Buffer, at: number, epoch: Epoch): void {
  putU64(bytes, at, epoch.counter)
  bytes.write(epoch.id, at + 8, 8, 'hex')
  putU64(bytes, at + 16, epoch.startIndex)
}

function getEpoch(bytes: Buffer, at: number): Epoch {
  return { counter: getU64(bytes, at), id: bytes.toString('hex', at + 8, at + 16), startIndex: getU64(bytes, at + 16) }
}

function putU64(bytes: Buffer, at: number, value: number): void {
  bytes.writeBigUInt64LE(BigInt(value), at)
}

function getU64(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at))
}
