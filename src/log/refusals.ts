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

/** What truncating a log at an index that it does not have gets. */
export function cannotCut(call: string, index: number, { firstIndex, lastIndex }: ReadableState): WalError {
  const message = `${call}(${index}) is outside of the log, which has the entries ${firstIndex} to ${lastIndex}.`
  return new WalError('WAL_INDEX_OUT_OF_RANGE', message, { index, firstIndex, lastIndex })
}

export function closed(directory: string): WalError {
  return new WalError('WAL_CLOSED', `The log in ${directory} is closed.`)
}
