import type { Log } from '../../src/contract.js'
import { iterate } from '../../src/streams/iterator.js'
import { iteratorRequest } from '../../src/streams/read-options.js'
import type { TailOptions, Wal } from '../../src/types.js'

/** As much of a Wal over a Log as the rxjs adapters use. */
export function walOver<T, In>(log: Log<T, In>): Wal<T, In> {
  const wal = {
    get lastIndex() {
      return log.lastIndex
    },
    async append(data: In) {
      const index = log.accept(data)
      await log.committed(index)
      return index
    },
    tail: (options?: number | TailOptions<T>) => iterate(log, iteratorRequest(options, true)),
    replay: (options?: number | TailOptions<T>) => iterate(log, iteratorRequest(options, false)),
  }
  return wal as unknown as Wal<T, In>
}
