import { ARENA_BYTES, kernel } from '../codec/kernel.js'
import { allocateMemory, type Memory } from '../codec/memory.js'

/**
 * What commits are gathered in unless a batch needs more: a megabyte. Larger ones did not write faster, smaller ones cost more
 * syncs. Those of the kernel come first, because their checksums cost half; all logs of the thread share them, and an idle log
 * holds none.
 */
const spare: Memory[] = kernel === undefined ? [] : [...kernel.arenas]
/** How many arenas of JavaScript's memory are kept beside. */
const MAX_SPARE = spare.length + 2

/** Memory for a commit of up to `bytes`. */
export function acquireArena(bytes: number): Memory {
  if (bytes > ARENA_BYTES) return allocateMemory(bytes)
  return spare.pop() ?? allocateMemory(ARENA_BYTES)
}

/** Gives memory back that nobody reads or writes any more. */
export function releaseArena(memory: Memory): void {
  if (memory.bytes.length !== ARENA_BYTES) return
  if (memory.address >= 0) spare.push(memory)
  else if (spare.length < MAX_SPARE) spare.unshift(memory)
}
