import type { Clock } from '../clock.js'
import { encodeMark, MARK_MAGIC, type Mark } from '../codec/manifest.js'
import { TwoSlotFile } from '../file-system/two-slot-file.js'
import type { FileSystem } from '../file-system/types.js'

/** The mark moves at most this often, and lies at most this far behind the last sync. */
const INTERVAL_MS = 10

/**
 * Keeps the mark file: how far the log is durable, for readers in other processes. It is never synced, so after a power cut it can
 * only be too low; a failure to write it harms nobody but those readers, and is reported.
 */
export class MarkWriter {
  readonly #clock: Clock
  readonly #file: TwoSlotFile
  readonly #onError: (error: unknown) => void
  #latest: Mark | undefined
  #timer: (() => void) | undefined
  #writing: Promise<void> = Promise.resolve()

  constructor(clock: Clock, file: TwoSlotFile, onError: (error: unknown) => void) {
    this.#clock = clock
    this.#file = file
    this.#onError = onError
  }

  /** Opens the mark of a directory, or makes one where there is none or it is damaged: it holds nothing that is not known otherwise. */
  static async open(fs: FileSystem, path: string, initial: Mark): Promise<TwoSlotFile> {
    const opened = await TwoSlotFile.open(fs, path, MARK_MAGIC)
    if (opened.kind === 'ok') return opened.file
    if (opened.kind !== 'missing') await fs.unlink(path)
    return TwoSlotFile.create(fs, path, MARK_MAGIC, encodeMark(initial), { sync: false })
  }

  /** Notes a position; written `now`, or with others within the interval. Never rejects. */
  update(mark: Mark, now: boolean): Promise<void> {
    this.#latest = mark
    if (now) return this.#write()
    this.#timer ??= this.#clock.setTimer(() => void this.#write(), INTERVAL_MS)
    return Promise.resolve()
  }

  async close(): Promise<void> {
    this.#timer?.()
    await this.#writing
    await this.#file.close()
  }

  #write(): Promise<void> {
    this.#timer?.()
    this.#timer = undefined
    const mark = this.#latest
    if (mark === undefined) return this.#writing
    this.#latest = undefined
    this.#writing = this.#file.write(encodeMark(mark), { sync: false }).catch(this.#onError)
    return this.#writing
  }
}
