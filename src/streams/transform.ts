import type { Transform } from 'node:stream'
import type { Log, LogCursor } from '../contract.js'
import { WalError } from '../errors.js'
import type { Chunk } from '../types.js'
import { Admission, acceptorOf, answerWrite, type InputOptions } from './admission.js'
import { closedError, disposeStream, settle } from './ending.js'
import { IndexRuns } from './index-runs.js'
import { Duplex } from './node-stream.js'

type Callback = (error?: Error | null) => void

/**
 * A Transform with data going in and the entries they became coming out once committed, as they read back, in order: durability in
 * the middle of a pipeline. Entries that others append meanwhile are not among them.
 */
export function transform<T, In>(log: Log<T, In>, options: InputOptions = {}): Transform {
  // A Duplex in truth: there is no step from one chunk to its result that could be overridden.
  return new LogTransform(log, acceptorOf('transform()', log, options)) as unknown as Transform
}

class LogTransform<T, In> extends Duplex {
  readonly #log: Log<T, In>
  readonly #admission: Admission<In>
  readonly #leave: () => void
  /** What was accepted here and has not come out yet. */
  readonly #own = new IndexRuns()
  #cursor: LogCursor<T> | undefined
  /** True while `#own` is not empty: entries are read and pushed. */
  #pumping = false
  /** Set while the reader's buffer is full. */
  #resume: (() => void) | undefined
  /** The callback of a write, held back while the reader's buffer is full. */
  #heldWrite: Callback | undefined
  /** Set once all writes are accepted: what is left to do when all of them have come out. */
  #finish: (() => void) | undefined

  constructor(log: Log<T, In>, accept: (chunk: unknown) => number) {
    // A mark of 1 for what comes out: the log's chunks are pushed whole, and the next one is read when the last is gone.
    super({ objectMode: true, readableHighWaterMark: 1 })
    this.#log = log
    this.#admission = new Admission(log, chunk => this.#accepted(accept(chunk)))
    const leaves = [log.onEnd(error => this.#logEnded(error)), log.onTakeBack(lastIndex => this.#takenBack(lastIndex))]
    this.#leave = () => {
      for (const leave of leaves) leave()
    }
  }

  override write(chunk: unknown, encoding?: BufferEncoding | Callback, callback?: Callback): boolean {
    const more = super.write(chunk, encoding as BufferEncoding, callback)
    return answerWrite(this, more, this.#admission.isWaiting || this.#heldWrite !== undefined)
  }

  override _write(chunk: unknown, _encoding: BufferEncoding, callback: Callback): void {
    this.#admission.admit(chunk, error => this.#written(callback, error))
  }

  override _writev(chunks: { chunk: unknown }[], callback: Callback): void {
    this.#admission.admitAll(chunks, error => this.#written(callback, error))
  }

  override _read(): void {
    const { resume, heldWrite } = this.#takeHeld()
    resume?.()
    heldWrite?.()
  }

  override _final(callback: Callback): void {
    this.#finish = () => settle(this.#log.settled(), error => this.#finished(callback, error))
    if (!this.#pumping) this.#finish()
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.#leave()
    this.#cursor?.close()
    this.#admission.stop(error)
    const { resume, heldWrite } = this.#takeHeld()
    resume?.()
    heldWrite?.()
    callback(error)
  }

  override [Symbol.asyncDispose](): Promise<void> {
    return disposeStream(this, this.writableFinished && this.readableEnded)
  }

  #accepted(index: number): void {
    this.#own.add(index)
    if (this.#pumping) return
    this.#pumping = true
    this.#pump(this.#cursorAt(index)).catch(error => this.destroy(error))
  }

  /** The cursor, or a new one where others have appended since it last read: their entries need not be read. */
  #cursorAt(index: number): LogCursor<T> {
    if (this.#cursor?.nextIndex !== index) {
      this.#cursor?.close()
      this.#cursor = this.#log.cursor({ from: index, live: true })
    }
    return this.#cursor
  }

  async #pump(cursor: LogCursor<T>): Promise<void> {
    while (!this.#own.isEmpty) {
      const chunk = await cursor.next()
      if (this.destroyed) return
      if (chunk === undefined) throw closedError(this.#log.directory)
      if (!this.#pushOwn(chunk)) await new Promise<void>(resolve => (this.#resume = resolve))
    }
    this.#pumping = false
    this.#finish?.()
  }

  /** False when the reader's buffer is full. */
  #pushOwn(chunk: Chunk<T>): boolean {
    let more = true
    for (const entry of chunk) {
      if (this.#own.take(entry.index)) more = this.push(entry)
    }
    return more
  }

  #written(callback: Callback, error: Error | null | undefined): void {
    if (!error && this.#resume && !this.destroyed) this.#heldWrite = callback
    else callback(error)
  }

  #finished(callback: Callback, error: Error | undefined): void {
    if (!error) this.push(null)
    callback(error)
  }

  #takeHeld(): { resume: (() => void) | undefined; heldWrite: Callback | undefined } {
    const held = { resume: this.#resume, heldWrite: this.#heldWrite }
    this.#resume = this.#heldWrite = undefined
    return held
  }

  #takenBack(lastIndex: number): void {
    const lost = this.#own.last
    if (lost <= lastIndex) return
    const firstIndex = lastIndex + 1
    const message = `entries up to ${lost} were removed by truncateAfter or reset before they had come out of this stream`
    this.destroy(new WalError('WAL_TRUNCATED', message, { firstIndex, lastIndex: lost, lost: 'after' }))
  }

  #logEnded(error: WalError | undefined): void {
    if (error) this.destroy(error)
    else if (!this.#finish) this.destroy(closedError(this.#log.directory))
  }
}
