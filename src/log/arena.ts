import { allocateMemory, type Memory } from '../codec/memory.js'

/** What commits are gathered in unless a batch needs more. Larger ones did not write faster, smaller ones cost more syncs. */
export const ARENA_BYTES = 1 << 20
/** Kept for the next commits, of whatever log of the process: an idle log holds none of its own. */
const MAX_SPARE = 4

const spare: Memory[] = []

/** Memory for a commit of up to `bytes`. */
export function acquireArena(bytes: number): Memory {
  if (bytes > ARENA_BYTES) return allocateMemory(bytes)
  return spare.pop() ?? allocateMemory(ARENA_BYTES)
}

/** Gives memory back that nobody reads any more. */
export function releaseArena(memory: Memory): void {
  if (memory.bytes.length === ARENA_BYTES && spare.length < MAX_SPARE) spare.push(memory)
}
