import type { Format } from '../codec/format.js'
import { ENDS_BATCH, EntryPositions, startScan, type Window } from '../codec/memory.js'
import type { Entry, IndexRange } from '../types.js'
import type { Source } from './repair-plan.js'
import { type Walk, WINDOW_BYTES } from './window.js'
import type { CommitContent } from './write-commit.js'

/** Called with entries that are good until the walk's next read. */
export type Keep = (content: CommitContent) => void

/** Walks a stretch of whole commits, as many at a time as a window holds, and keeps their entries in the wanted range. */
export function* walkCommits(
  format: Format,
  source: Source,
  wanted: Omit<IndexRange, 'count'>,
  keep: Keep,
): Walk<void> {
  const { header, end } = source
  const found = new EntryPositions()
  let { offset, firstIndex: index } = source
  let length = WINDOW_BYTES
  while (offset < end) {
    const window = yield { offset, length: Math.min(length, end - offset) }
    const { maxEntryBytes } = header!
    const state = startScan({
      binding: format.bind(header!),
      maxEntryBytes,
      offset,
      limit: end,
      index,
      previousCrc: undefined,
    })
    found.clear()
    const stop = format.scan(window, state, found)
    if (state.wholeIndex === index) {
      if (stop.kind !== 'more') throw new Error(`A commit that was whole is not any more: ${source.path} at ${offset}`)
      length = Math.max(2 * length, stop.need, state.commitEnd - offset)
      continue
    }
    keepSlots(format, { window, found, firstIndex: index, lastIndex: state.wholeIndex - 1 }, wanted, keep)
    offset = state.wholeEnd
    index = state.wholeIndex
    length = WINDOW_BYTES
  }
}

function keepSlots(
  format: Format,
  {
    window,
    found,
    firstIndex,
    lastIndex,
  }: { window: Window; found: EntryPositions; firstIndex: number; lastIndex: number },
  wanted: Omit<IndexRange, 'count'>,
  keep: Keep,
): void {
  const from = Math.max(wanted.firstIndex - firstIndex, 0)
  const to = Math.min(wanted.lastIndex, lastIndex) + 1 - firstIndex
  if (from >= to) return
  const entries = format.materialize(window, found, { from, to, firstIndex: firstIndex + from })
  keep({ entries, endsBatch: slot => (found.slots[from + slot]! & ENDS_BATCH) !== 0 || slot === to - from - 1 })
}

/** Windows overlap by this, so that an entry's beginning on their border is seen whole. */
const OVERLAP_BYTES = 4096
/** How many lost entries in a row are bridged, and how many bytes are checksummed to find which entry one is. */
const LARGEST_JUMP = 4096
const LARGEST_EFFORT_BYTES = 64 << 20

/**
 * Looks for entries that are whole by their own checksum where no commit is: those of a commit whose header or neighbour is damaged.
 * The checksum covers log id and index, so nothing else is ever taken for one.
 */
export function* walkEntries(
  format: Format,
  source: Source,
  wanted: Omit<IndexRange, 'count'>,
  keep: Keep,
): Walk<void> {
  const { end, maxEntryBytes } = source
  const { lastIndex } = wanted
  let { offset } = source
  let next = wanted.firstIndex
  let length = WINDOW_BYTES
  while (offset < end && next <= lastIndex) {
    const window = yield { offset, length: Math.min(length, end - offset) }
    const isLast = window.length < length || offset + window.length >= end
    const stopAt = isLast ? window.length : window.length - OVERLAP_BYTES
    length = WINDOW_BYTES
    let position = 0
    while (position < stopAt && next <= lastIndex) {
      const span = format.entrySpan(window, position)
      const isCut = span !== undefined && position + span > window.length
      if (isCut && !isLast && span <= maxEntryBytes + OVERLAP_BYTES) {
        length = Math.max(WINDOW_BYTES, span)
        break
      }
      const entry =
        span === undefined || isCut ? undefined : identify(format, window, position, { span, next, lastIndex })
      if (entry !== undefined) {
        keep({ entries: [entry], endsBatch: () => true })
        next = entry.index + 1
      }
      position += entry === undefined ? format.alignment : span!
    }
    if (isLast && position >= window.length) return
    offset += position
  }
}

/** The entry at `position`, if it is one of those that are missing. */
function identify(
  format: Format,
  window: Window,
  position: number,
  { span, next, lastIndex }: { span: number; next: number; lastIndex: number },
): Entry<Buffer> | undefined {
  const tries = Math.min(LARGEST_JUMP, Math.ceil(LARGEST_EFFORT_BYTES / span))
  for (let index = next; index <= lastIndex && index < next + tries; index++) {
    const entry = format.readEntry(window, position, index)
    if (entry !== undefined) return entry
  }
  return undefined
}
