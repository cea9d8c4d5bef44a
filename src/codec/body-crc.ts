import { HEADS_AT, kernel } from './kernel.js'
import { type EntryPositions, type Memory, POSITION_MASK } from './memory.js'

/**
 * CRC of the first 8 bytes (checksum and length) of the entries at the positions, by the kernel. Its own walk over them does without
 * positions; but entries that were laid out a while ago have left the cache, and it can fetch each only once the one before is there.
 */
export function bodyCrcAt({ words }: Memory, { slots, count }: EntryPositions): number {
  const { heads, crc } = kernel!
  let bodyCrc = 0
  for (let from = 0; from < count; ) {
    const to = Math.min(count, from + heads.length / 2)
    for (let i = from, at = 0; i < to; i++) {
      const word = (slots[i]! & POSITION_MASK) >> 2
      heads[at++] = words[word]!
      heads[at++] = words[word + 1]!
    }
    bodyCrc = crc(HEADS_AT, 8 * (to - from), bodyCrc)
    from = to
  }
  return bodyCrc
}
