import type { Disk } from './disk.js'
import type { SimulatedOperation } from './operation.js'
import type { Random } from './random.js'

/** A call under way: what it does when it comes to its end, and what it may have done when it does not. */
export interface Flight<T = unknown> {
  apply(disk: Disk): T
  /** What a power cut in its midst may leave, any part of it, as unsynced changes. Default: what `apply` does. */
  cut?(disk: Disk): void
  /** What a `kill -9` in its midst leaves. Default: all of it or nothing. */
  kill?(disk: Disk, random: Random): void
  /** What it leaves when it fails. Default: nothing. */
  fail?(disk: Disk, random: Random): void
  /** As `apply`, stopped after so many bytes. */
  short?(disk: Disk, length: number): T
  /** The bytes of a file it is about to change; two such calls at a time have no order. */
  range?: { file: number; from: number; to: number }
}

/** A call as it is made; its number comes when it is counted. */
export type Call = Omit<SimulatedOperation, 'number'>

/** What an open file may use of its file system. */
export interface Access {
  perform<T>(call: Call, flight: Flight<T>): Promise<T>
  performSync<T>(call: Call, flight: Flight<T>): T
  nextSequence(): number
  freeBytes(): number
  readonly ignoresSync: boolean
}
