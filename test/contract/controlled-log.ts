import type { Log } from '../../src/contract.js'
import type { Encoding } from '../../src/types.js'

/** A log of any kind, open on an empty directory or the like, with the handles that the suites need to get at its edges. */
export interface ControlledLog<T, In> {
  readonly log: Log<T, In>
  /** From now on: 'held' commits nothing, 'full' has no space for the next commit, 'broken' fails it, 'ok' does what was asked. */
  setDisk(disk: 'ok' | 'held' | 'full' | 'broken'): void
  /** The log's own: one more try after a pause. */
  resume(): Promise<void>
  truncateAfter(index: number): Promise<void>
  truncateBefore(index: number): Promise<void>
  close(): Promise<void>
}

export interface ControlledLogOptions<T, In> {
  encoding: Encoding<In, T>
  highWaterMark?: number
  maxEntryBytes?: number
  maxBatchBytes?: number
  startIndex?: number
}

export type OpenLog = <T, In>(options: ControlledLogOptions<T, In>) => Promise<ControlledLog<T, In>>
