import { kernel } from '../codec/kernel.js'
import { allocateMemory, type Memory, type Window } from '../codec/memory.js'
import { readFully } from '../file-system/transfer.js'
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

/** As `readFully`, blocking. */
export function readSyncFully(file: File, buffer: Uint8Array, length: number, position: number): number {
  let done = 0
  while (done < length) {
    const read = file.readSync(buffer, done, length - done, position + done)
    if (read === 0) break
    done += read
  }
  return done
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
  let memory = kernel?.stage ?? allocateMemory(WINDOW_BYTES)
  let step = walk.next()
  while (!step.done) {
    const { offset, length } = step.value
    if (length > memory.bytes.length) memory = allocateMemory(length)
    step = walk.next(windowOf(memory, offset, readSyncFully(file, memory.bytes, length, offset)))
  }
  return step.value
}

/** After so many bytes a walk that blocks lets the event loop turn: some ten milliseconds of reading and verifying. */
const TURN_BYTES = 16 << 20

/**
 * As `drive`, by blocking reads into memory that all windows share, for a walk that keeps none of them: a trip through the thread pool
 * and fresh memory for each would cost as much as verifying it. Other work gets its turn now and then, however much there is to read.
 */
export async function driveInTurns<Result>(file: File, walk: Walk<Result>): Promise<Result> {
  let memory = kernel?.stage ?? allocateMemory(WINDOW_BYTES)
  let untilTurn = TURN_BYTES
  let step = walk.next()
  while (!step.done) {
    const { offset, length } = step.value
    if (length > memory.bytes.length) memory = allocateMemory(length)
    step = walk.next(windowOf(memory, offset, readSyncFully(file, memory.bytes, length, offset)))
    untilTurn -= length
    if (untilTurn > 0) continue
    untilTurn = TURN_BYTES
    await new Promise<void>(resolve => setImmediate(resolve))
  }
  return step.value
}

function windowOf(memory: Memory, start: number, length: number): Window {
  return { ...memory, start, length }
}
