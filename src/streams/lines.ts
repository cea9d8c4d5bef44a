import type { Transform as NodeTransform, TransformCallback } from 'node:stream'
import { Transform } from './node-stream.js'

/**
 * A Transform from bytes to lines, for `pipeline(createReadStream(file), lines(), wal.writable())`.
 *
 * The bytes are UTF-8 (what is not valid becomes U+FFFD, as everywhere in Node). A line ends at `\n` or `\r\n`, which are not
 * part of it; the last one need not end. Empty lines are kept; a newline at the very end starts no further line. Memory held is
 * one chunk of the source and the longest line.
 */
export function lines(): NodeTransform {
  return new LineSplitter()
}

const NEWLINE = 0x0a

class LineSplitter extends Transform {
  /** The pieces of a line whose end has not arrived: bytes, so that no character is decoded in halves. */
  #unfinished: Buffer[] = []

  constructor() {
    super({ readableObjectMode: true })
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, callback: TransformCallback): void {
    const end = chunk.lastIndexOf(NEWLINE)
    if (end >= 0) this.#pushLines(this.#join(chunk.subarray(0, end)))
    const rest = chunk.subarray(end + 1)
    if (rest.length > 0) this.#unfinished.push(rest)
    callback()
  }

  override _flush(callback: TransformCallback): void {
    if (this.#unfinished.length > 0) this.push(this.#join(Buffer.alloc(0)).toString('utf8'))
    callback()
  }

  /** Whole lines, without the newline of the last one. */
  #pushLines(whole: Buffer): void {
    for (const line of whole.toString('utf8').split('\n')) {
      this.push(line.endsWith('\r') ? line.slice(0, -1) : line)
    }
  }

  #join(last: Buffer): Buffer {
    if (this.#unfinished.length === 0) return last
    const pieces = [...this.#unfinished, last]
    this.#unfinished = []
    return Buffer.concat(pieces)
  }
}
