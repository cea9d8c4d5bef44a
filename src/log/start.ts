import { WalError } from '../errors.js'
import type { From } from '../types.js'
import type { CursorStart } from './cursor.js'
import { type ReadableState, truncatedBefore } from './read-side.js'

/** Where a cursor begins that is asked for `from` now. Throws WAL_TRUNCATED or WAL_INDEX_OUT_OF_RANGE where it cannot. */
export function startOf(
  from: From,
  { firstIndex, committedIndex, lastIndex }: ReadableState,
): Pick<CursorStart<unknown>, 'index' | 'floating' | 'seek'> {
  if (from === 'start') return { index: firstIndex, floating: true, seek: undefined }
  if (from === 'end') return { index: committedIndex + 1, floating: false, seek: undefined }
  if (typeof from === 'object') {
    const timestamp = typeof from.timestamp === 'number' ? from.timestamp : from.timestamp.getTime()
    return { index: firstIndex, floating: true, seek: { timestamp, upTo: committedIndex } }
  }
  if (from >= 1 && from < firstIndex) throw truncatedBefore(from, firstIndex)
  if (Number.isSafeInteger(from) && from >= 1 && from <= lastIndex + 1)
    return { index: from, floating: false, seek: undefined }
  const message = `from is ${from}, but the log has the entries ${firstIndex} to ${lastIndex}.`
  throw new WalError('WAL_INDEX_OUT_OF_RANGE', message, { index: from, firstIndex, lastIndex })
}
