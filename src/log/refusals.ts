import type { LogReader } from '../contract.js'
import { WalError } from '../errors.js'
import type { ReadableState } from './read-side.js'

/** What the wait for a commit that nothing will ever bring rejects with. */
export function neverComes(index: number, log: Pick<LogReader<unknown>, 'status'> & ReadableState): WalError {
  const { failure, status, directory, lastIndex } = log
  if (failure !== undefined) return failure
  if (status === 'closed' || status === 'closing') return closed(directory)
  const message = `No entry ${index} was accepted; the last one is ${lastIndex}.`
  return new WalError('WAL_INDEX_OUT_OF_RANGE', message, { index, lastIndex })
}

/** Throws what truncating a log at an index that it does not have gets. */
export function assertCut(call: string, index: number, log: ReadableState, isWithin: boolean): void {
  if (typeof index !== 'number') throw new TypeError(`${call}() takes an index, got ${typeof index}`)
  if (Number.isSafeInteger(index) && isWithin) return
  const { firstIndex, lastIndex } = log
  const message = `${call}(${index}) is outside of the log, which has the entries ${firstIndex} to ${lastIndex}.`
  throw new WalError('WAL_INDEX_OUT_OF_RANGE', message, { index, firstIndex, lastIndex })
}

export function closed(directory: string): WalError {
  return new WalError('WAL_CLOSED', `The log in ${directory} is closed.`)
}
