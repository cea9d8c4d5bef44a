import type { RetentionLimits } from '../options.js'

/** What the decision needs to know of a segment. */
export interface RetainedSegment {
  readonly lastIndex: number
  readonly sealed: boolean
  readonly end: { readonly offset: number }
}

export interface RetentionSituation<S extends RetainedSegment> {
  /** The chain, oldest first. */
  segments: readonly S[]
  limits: RetentionLimits
  /** Milliseconds since a sealed segment was sealed; undefined while no clock can say. */
  ageOf: (segment: S) => number | undefined
  /** The first index somebody still has to read; Infinity: nobody waits. Held up to `maxHeldBytes`. */
  heldFrom: number
  maxHeldBytes: number
  /** The first index a running backup still has to copy; Infinity: none runs. Never overtaken. */
  pinnedFrom: number
}

export interface RetentionDecision<S> {
  /** Oldest first: the chain's beginning, and never its active segment. */
  remove: S[]
  /** Used bytes of what the limits give up and `heldFrom` asks to keep. More than `maxHeldBytes`: the oldest of it goes all the same. */
  heldBytes: number
}

/**
 * Which segments go. The limits choose the oldest sealed segments; of these the last ones stay while somebody has yet to read them,
 * as long as that costs no more than it may. Pure.
 */
export function decideRetention<S extends RetainedSegment>(situation: RetentionSituation<S>): RetentionDecision<S> {
  const { heldFrom, maxHeldBytes, pinnedFrom } = situation
  const expired = expiredSegments(situation)
  let heldBytes = heldBytesOf(expired, heldFrom)
  const decision: RetentionDecision<S> = { remove: [], heldBytes }
  for (const segment of expired) {
    if (segment.lastIndex >= pinnedFrom) break
    if (segment.lastIndex >= heldFrom) {
      if (heldBytes <= maxHeldBytes) break
      heldBytes -= segment.end.offset
    }
    decision.remove.push(segment)
  }
  return decision
}

/** Used bytes of the segments that hold `heldFrom` or anything behind it. */
export function heldBytesOf(segments: readonly RetainedSegment[], heldFrom: number): number {
  let bytes = 0
  for (const { lastIndex, end } of segments) if (lastIndex >= heldFrom) bytes += end.offset
  return bytes
}

/** The oldest sealed segments that a limit gives up, whoever may still want them. */
export function expiredSegments<S extends RetainedSegment>({
  segments,
  limits,
  ageOf,
}: Pick<RetentionSituation<S>, 'segments' | 'limits' | 'ageOf'>): S[] {
  let count = segments.length
  let bytes = 0
  for (const { end } of segments) bytes += end.offset
  const expired: S[] = []
  for (const segment of segments) {
    if (!segment.sealed) break
    const isOld = (ageOf(segment) ?? Number.NEGATIVE_INFINITY) > limits.maxAgeMs
    if (count <= limits.maxSegments && bytes <= limits.maxBytes && !isOld) break
    expired.push(segment)
    count--
    bytes -= segment.end.offset
  }
  return expired
}
