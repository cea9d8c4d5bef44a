import type { Duplex, Readable, Writable } from 'node:stream'
import { WalError } from '../errors.js'
import { finished } from './node-stream.js'

/** For a stream or an iterator that was still open when its log was closed. */
export function closedError(directory: string): WalError {
  return new WalError('WAL_CLOSED', `the log in ${directory} was closed before this reader or writer had ended`)
}

/** Node's error for a stream that an AbortSignal destroyed. */
export function abortError(reason: unknown): Error {
  return namedError('AbortError', 'ABORT_ERR', 'The operation was aborted', { cause: reason })
}

/** Node's error for a chunk that a destroyed stream no longer takes. */
export function destroyedError(): Error {
  return namedError('Error', 'ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed')
}

/**
 * What `await using` does with a stream, as Node's own do (readable-stream's have no such method): destroys it unless it is done,
 * and waits until it is closed.
 */
export function disposeStream(stream: Readable | Writable | Duplex, isDone: boolean): Promise<void> {
  const error = isDone || stream.destroyed ? undefined : abortError(undefined)
  stream.destroy(error)
  return new Promise((resolve, reject) => {
    finished(stream, failure => (failure && failure !== error ? reject(failure) : resolve()))
  })
}

/**
 * Calls back with the outcome of a promise, in a tick of its own: what the callback throws (it may be a user's) is then an
 * uncaught exception, as with any stream, not the rejection of a promise that nobody has.
 */
export function settle(promise: Promise<void>, callback: (error?: Error) => void): void {
  promise.then(
    () => process.nextTick(callback),
    error => process.nextTick(callback, error),
  )
}

function namedError(name: string, code: string, message: string, options?: ErrorOptions): Error {
  return Object.assign(new Error(message, options), { name, code })
}
