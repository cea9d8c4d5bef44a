import type { Writable as NodeWritable } from 'node:stream'
import type { Log } from '../contract.js'
import type { WalError } from '../errors.js'
import { Admission, acceptorOf, answerWrite, type InputOptions } from './admission.js'
import { closedError, disposeStream, settle } from './ending.js'
import { Writable } from './node-stream.js'

type Callback = (error?: Error | null) => void

/**
 * A Writable, always in object mode, each chunk of which becomes an entry. A write's callback means accepted; `'finish'` means
 * durable (with `sync: 'never'`: committed).
 */
export function writable<In>(log: Log<unknown, In>, options: InputOptions = {}): NodeWritable {
  return new LogWritable(log, acceptorOf('writable()', log, options))
}

class LogWritable<In> extends Writable {
  readonly #log: Log<unknown, In>
  readonly #admission: Admission<In>
  readonly #leave: () => void
  /** All chunks are accepted: closing the log now makes them durable, so it is no reason to fail. */
  #finishing = false

  constructor(log: Log<unknown, In>, accept: (chunk: unknown) => number) {
    super({ objectMode: true })
    this.#log = log
    this.#admission = new Admission(log, accept)
    this.#leave = log.onEnd(error => this.#logEnded(error))
  }

  override write(chunk: unknown, encoding?: BufferEncoding | Callback, callback?: Callback): boolean {
    const more = super.write(chunk, encoding as BufferEncoding, callback)
    return answerWrite(this, more, this.#admission.isWaiting)
  }

  override _write(chunk: unknown, _encoding: BufferEncoding, callback: Callback): void {
    this.#admission.admit(chunk, callback)
  }

  override _writev(chunks: { chunk: unknown }[], callback: Callback): void {
    this.#admission.admitAll(chunks, callback)
  }

  override _final(callback: Callback): void {
    this.#finishing = true
    settle(this.#log.settled(), callback)
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.#leave()
    this.#admission.stop(error)
    callback(error)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return disposeStream(this, this.writableFinished)
  }

  #logEnded(error: WalError | undefined): void {
    if (error) this.destroy(error)
    else if (!this.#finishing) this.destroy(closedError(this.#log.directory))
  }
}
