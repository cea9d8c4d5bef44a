import type { Calls, Done, FileCalls } from '../calls.js'
import type { HandOver } from './hand-over.js'

/**
 * The calls of a writer, made by a thread; `syncing` may be another one, for syncs of files. `own`: the calls of this one, for what
 * blocks anyway, and for closing files once the thread is gone.
 */
export function threadCalls(handOver: HandOver, syncing: HandOver, own: FileCalls): Calls {
  const { closeSync, fstatSync, readSync } = own
  return {
    closeSync,
    fstatSync,
    readSync,
    close(fd, done) {
      if (handOver.hasEnded) own.close(fd, done)
      else handOver.call('close', [fd], done)
    },
    fdatasync: (fd, done) => syncing.call('fdatasync', [fd], done),
    fstat: (fd, done) => handOver.call('fstat', [fd], done),
    fsync: (fd, done) => handOver.call('fsync', [fd], done),
    ftruncate: (fd, length, done) => handOver.call('ftruncate', [fd, length], done),
    lstat: (path, done) => handOver.call('lstat', [path], done),
    open: (path, flags, mode, done) => handOver.call('open', [path, flags, mode], done),
    read: (fd, buffer, offset, length, position, done: Done<number>) =>
      handOver.read(fd, part(buffer, offset, length), position, done),
    rename: (from, to, done) => handOver.call('rename', [from, to], done),
    unlink: (path, done) => handOver.call('unlink', [path], done),
    write: (fd, buffer, offset, length, position, done: Done<number>) =>
      handOver.write(fd, [part(buffer, offset, length)], position, done),
    writev: (fd, buffers, position, done) => handOver.write(fd, buffers, position, done),
  }
}

function part(buffer: Uint8Array, offset: number, length: number): Uint8Array {
  if (offset >= 0 && length >= 0 && offset + length <= buffer.length) return buffer.subarray(offset, offset + length)
  throw new RangeError(`Bytes ${offset} to ${offset + length} lie outside of a buffer of ${buffer.length}`)
}
