import type { Manifest } from '../codec/manifest.js'
import { Segment } from './segment.js'

/** A log at one moment: nothing that happens to it later changes this. */
export interface StoreSnapshot {
  /** Oldest first; the last one is a copy of the active segment as it was. */
  segments: readonly Segment[]
  manifest: Manifest
  /** Last index known to be on stable storage. */
  durableIndex: number
}

/** A segment as it is now, for somebody who looks at it while the writer goes on. */
export function freeze(active: Segment): Segment {
  return new Segment(active.header, active.path, active.contentStart, { ...active.end }, active.sealed)
}
