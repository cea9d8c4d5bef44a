import type { WalOptions } from '../../src/types.js'
import type { Scene } from './scene.js'

/** A scripted course of events that is then crashed everywhere. One file each in workloads/, and a line in workloads.ts. */
export interface Workload {
  name: string
  /** Of the log it creates. Default 1. */
  startIndex?: number
  /** Retention raises the first index by itself, segment by segment. */
  floats?: boolean
  options?: (scene: Scene) => WalOptions
  /** Begins with the log not opened yet, on an empty disk or (as what follows a crash) on what the first life left. */
  run(scene: Scene): Promise<void>
}

/** The policies every workload is run with: how it is synced, and in what shape. */
export const POLICIES = {
  always: { sync: 'always' },
  buffered: { sync: 'always', io: 'buffered' },
  interval: { sync: { intervalMs: 50 } },
  never: { sync: 'never' },
  ndjson: { sync: 'always', format: 'ndjson' },
  'ndjson-interval': { sync: { intervalMs: 50 }, format: 'ndjson' },
  thread: { sync: 'always', writerThread: true },
  'thread-buffered': { sync: 'always', io: 'buffered', writerThread: true },
  'thread-interval': { sync: { intervalMs: 50 }, writerThread: true },
} as const satisfies Record<string, WalOptions>

export type PolicyName = keyof typeof POLICIES
