import { setImmediate as nextTurn } from 'node:timers/promises'
import { kernel } from '../codec/kernel.js'
import { allocateMemory, type Memory, type Window } from '../codec/memory.js'
import { readFully, readFullySync } from '../file-system/transfer.js'
import type { File } from '../file-system/types.js'

/** How much of a segment is read and verified at a time. */
export const WINDOW_BYTES = 1 << 20

/** A read that a walk asks for; what drives the walk decides whether the read blocks. */
export interface WindowRequest {
  offset: number
  length: number
}

/** A walk over a file: yields what it wants to read, gets it as a window (shorter at the end of the file), returns its result. */
export type Walk<Result> = Generator<WindowRequest, Result, Window>

/** Reads [offset, offset + length) of a file, less where the file ends, into memory of its own. */
export async function readWindow(file: File, { offset, length }: WindowRequest): Promise<Window> {
  const memory = allocateMemory(length)
  return windowOf(memory, offset, await readFully(file, memory.bytes, length, offset))
}

export async function drive<Result>(file: File, walk: Walk<Result>): Promise<Result> {
  let step = walk.next()
  while (!step.done) step = walk.next(await readWindow(file, step.value))
  return step.value
}

/** As `drive`, into memory that all windows share: for a walk that keeps none of them. */
export async function driveSharing<Result>(file: File, walk: Walk<Result>): Promise<Result> {
  let memory = allocateMemory(0)
  let step = walk.next()
  while (!step.done) {
    const { offset, length } = step.value
    if (length > memory.bytes.length) memory = allocateMemory(length)
    step = walk.next(windowOf(memory, offset, await readFully(file, memory.bytes, length, offset)))
  }
  return step.value
}

/** As `driveSharing`, blocking. */
export function driveSync<Result>(file: File, walk: Walk<Result>): Result {
  const read = blockingReader(file)
  let step = walk.next()
  while (!step.done) step = walk.next(read(step.value))
  return step.value
}

/** After so many bytes a walk that blocks lets the event loop turn: some ten milliseconds of reading and verifying. */
const TURN_BYTES = 16 << 20

/**
 * As `drive`, by blocking reads into memory that all windows share, for a walk that keeps none of them: a trip through the thread pool
 * and fresh memory for each would cost as much as verifying it. Other work gets its turn now and then, however much there is to read.
 */
export async function driveInTurns<Result>(file: File, walk: Walk<Result>): Promise<Result> {
  const read = blockingReader(file)
  let untilTurn = TURN_BYTES
  let step = walk.next()
  while (!step.done) {
    const { length } = step.value
    step = walk.next(read(step.value))
    untilTurn -= length
    if (untilTurn > 0) continue
    untilTurn = TURN_BYTES
    await nextTurn()
  }
  return step.value
}

/** Reads windows, blocking, into memory that they share: the kernel's own, as long as they fit in. */
function blockingReader(file: File): (request: WindowRequest) => Window {
  let memory = kernel?.stage ?? allocateMemory(WINDOW_BYTES)
  return ({ offset, length }) => {
    if (length > memory.bytes.length) memory = allocateMemory(length)
    return windowOf(memory, offset, readFullySync(file, memory.bytes, length, offset))
  }
}

function windowOf(memory: Memory, start: number, length: number): Window {
  return { ...memory, start, length }
}
