import { dirname } from 'node:path'
import { WalError } from '../errors.js'
import { ioError, withIoErrors } from '../file-system/io-error.js'
import { type SlotContent, TwoSlotFile } from '../file-system/two-slot-file.js'
import type { FileSystem } from '../file-system/types.js'
import type { Position } from './position.js'

const MAGIC = 'WALRUSCP'

/*
 * Payload of a checkpoint slot (two-slot-file.ts has the slot). Little endian.
 *
 *   0         16          24                  32         40
 *   | log id  | index u64 | epoch counter u64 | epoch id |
 */
const INDEX_OFFSET = 16
const EPOCH_COUNTER_OFFSET = INDEX_OFFSET + 8
const EPOCH_ID_OFFSET = EPOCH_COUNTER_OFFSET + 8
const PAYLOAD_BYTES = EPOCH_ID_OFFSET + 8

/** What a checkpoint file holds. */
export type StoredCheckpoint =
  | { kind: 'missing' }
  | { kind: 'ok'; logId: string; position: Position }
  /** It cannot be used; the error says why. */
  | { kind: 'unusable'; error: WalError }

/** Reads a checkpoint file, blocking; for inspection also beside its writer. */
export function readCheckpoint(fs: FileSystem, path: string): StoredCheckpoint {
  try {
    return interpret(path, TwoSlotFile.readSync(fs, path, MAGIC))
  } catch (cause) {
    const error = ioError('reading the checkpoint', path, cause)
    if (error instanceof WalError) return { kind: 'unusable', error }
    throw error
  }
}

function interpret(path: string, content: SlotContent | { kind: 'missing' }): StoredCheckpoint {
  if (content.kind === 'missing') return content
  if (content.kind === 'unsupported') return { kind: 'unusable', error: laterVersion(path, content.version) }
  const decoded = content.kind === 'ok' ? decode(Buffer.from(content.payload)) : undefined
  if (decoded !== undefined) return { kind: 'ok', ...decoded }
  const message = `The checkpoint in ${path} is damaged in both of its copies. seek() to where the consumer shall go on, or restore the file.`
  return { kind: 'unusable', error: new WalError('WAL_CORRUPT', message, { kind: 'corrupt' }) }
}

function laterVersion(path: string, version: number): WalError {
  const message = `${path} was written by a later version of walrus-wal (${version}). Update the package.`
  return new WalError('WAL_UNSUPPORTED_VERSION', message)
}

function encode(logId: string, { index, epochCounter, epochId }: Position): Buffer {
  const bytes = Buffer.alloc(PAYLOAD_BYTES)
  bytes.write(logId, 0, 16, 'hex')
  bytes.writeBigUInt64LE(BigInt(index), INDEX_OFFSET)
  bytes.writeBigUInt64LE(BigInt(epochCounter), EPOCH_COUNTER_OFFSET)
  bytes.write(epochId, EPOCH_ID_OFFSET, 8, 'hex')
  return bytes
}

function decode(bytes: Buffer): { logId: string; position: Position } | undefined {
  if (bytes.length < PAYLOAD_BYTES) return undefined
  const index = Number(bytes.readBigUInt64LE(INDEX_OFFSET))
  const epochCounter = Number(bytes.readBigUInt64LE(EPOCH_COUNTER_OFFSET))
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(epochCounter)) return undefined
  const epochId = bytes.toString('hex', EPOCH_ID_OFFSET, PAYLOAD_BYTES)
  return { logId: bytes.toString('hex', 0, INDEX_OFFSET), position: { index, epochCounter, epochId } }
}

/** Stores one consumer's position. One call at a time. */
export class CheckpointFile {
  readonly path: string
  readonly #fs: FileSystem
  readonly #logId: string
  #file: TwoSlotFile | undefined
  /** A write or a sync of it failed: what a file holds then nobody can know, so the next store makes a new one. */
  #distrusted: boolean

  /** `replace`: what is stored there now is of no use, and is replaced as a whole by the first store. */
  constructor(fs: FileSystem, path: string, options: { logId: string; replace: boolean }) {
    this.#fs = fs
    this.path = path
    this.#logId = options.logId
    this.#distrusted = options.replace
  }

  /** The position is on stable storage once this resolves. Rejects with WAL_IO or WAL_NO_SPACE; then an older one is there. */
  async store(position: Position): Promise<void> {
    const payload = encode(this.#logId, position)
    try {
      await withIoErrors('storing the checkpoint', this.path, () => this.#write(payload))
    } catch (error) {
      this.#distrusted = true
      await this.close()
      throw error
    }
  }

  /** The file is gone for good once this resolves. */
  async remove(): Promise<void> {
    await this.close()
    await withIoErrors('removing the checkpoint', this.path, async () => {
      if ((await this.#fs.stat(this.path)) === undefined) return
      await this.#fs.unlink(this.path)
      await this.#fs.syncDirectory(dirname(this.path))
    })
    this.#distrusted = false
  }

  /** Lets go of the file; the next store opens it again. */
  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  async #write(payload: Buffer): Promise<void> {
    this.#file ??= this.#distrusted ? undefined : await this.#open()
    if (this.#file !== undefined) return this.#file.write(payload, { sync: true })
    this.#file = await this.#publish(payload)
    this.#distrusted = false
  }

  async #open(): Promise<TwoSlotFile | undefined> {
    const opened = await TwoSlotFile.open(this.#fs, this.path, MAGIC)
    if (opened.kind === 'unsupported') throw laterVersion(this.path, opened.version)
    return opened.kind === 'ok' ? opened.file : undefined
  }

  /** A name with a leading dot is no consumer's, so the unfinished file cannot stand in for one. */
  async #publish(payload: Buffer): Promise<TwoSlotFile | undefined> {
    const fs = this.#fs
    const directory = dirname(this.path)
    const temporary = `${directory}/.${this.path.slice(directory.length + 1)}.tmp`
    await makeDirectory(fs, directory)
    // Whoever made it may have been killed before its name was durable.
    await fs.syncDirectory(dirname(directory))
    if (await fs.stat(temporary)) await fs.unlink(temporary)
    const created = await TwoSlotFile.create(fs, temporary, MAGIC, payload, { sync: true })
    await created.close()
    await fs.rename(temporary, this.path)
    await fs.syncDirectory(directory)
    return this.#open()
  }
}

/** Creates what is missing of a directory's path, each name durable in its parent. */
async function makeDirectory(fs: FileSystem, path: string): Promise<void> {
  if ((await fs.stat(path)) !== undefined) return
  const parent = dirname(path)
  await makeDirectory(fs, parent)
  try {
    await fs.createDirectory(path)
  } catch (error) {
    // Another consumer, or another process, was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  await fs.syncDirectory(parent)
}
