import type { File } from './types.js'

/**
 * Reads `length` bytes into the start of `buffer`, however many calls that takes, and returns how many there were: fewer only at
 * the end of the file.
 */
export async function readFully(file: File, buffer: Uint8Array, length: number, position: number): Promise<number> {
  let done = 0
  while (done < length) {
    const count = await file.read(buffer, done, length - done, position + done)
    if (count === 0) break
    done += count
  }
  return done
}

/** As `readFully`, blocking. */
export function readFullySync(file: File, buffer: Uint8Array, length: number, position: number): number {
  let done = 0
  while (done < length) {
    const count = file.readSync(buffer, done, length - done, position + done)
    if (count === 0) break
    done += count
  }
  return done
}

/**
 * Writes all of `bytes`, however many calls that takes. A full disk answers first with a short write and only the next call
 * with the error, so going on is how the errno is learned; a call that writes nothing counts as ENOSPC.
 */
export async function writeFully(file: File, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0
  while (done < bytes.length) {
    const count = await file.write(bytes, done, bytes.length - done, position + done)
    if (count === 0) throw nothingWritten(file.path)
    done += count
  }
}

/** As `writeFully`, of buffers each of which lies behind the one before: in one call, where the file system has that. */
export async function writeAllFully(file: File, buffers: readonly Uint8Array[], position: number): Promise<void> {
  let written = buffers.length > 1 && file.writev !== undefined ? await file.writev(buffers, position) : 0
  let at = position
  for (const buffer of buffers) {
    const there = Math.min(written, buffer.length)
    written -= there
    if (there < buffer.length) await writeFully(file, buffer.subarray(there), at + there)
    at += buffer.length
  }
}

function nothingWritten(path: string): Error {
  const error = new Error(`ENOSPC: a write to '${path}' wrote nothing`)
  return Object.assign(error, { code: 'ENOSPC', errno: -28, syscall: 'write', path })
}
