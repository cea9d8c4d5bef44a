import { type Clock, systemClock } from '../../src/clock.js'
import { text } from '../../src/codec/encoding.js'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import { openWith } from '../../src/open.js'
import type { Chunk, Entry, Wal, WalConsumer, WalOptions } from '../../src/types.js'

/** Opens a log of text on a simulated disk. */
export async function open(
  options: WalOptions = {},
  { fs = new SimulatedFileSystem(), clock = systemClock }: { fs?: SimulatedFileSystem; clock?: Clock } = {},
): Promise<{ wal: Wal<string>; fs: SimulatedFileSystem }> {
  const wal = await openWith('/log', { fileSystem: fs, encoding: text() as never, ...options }, clock)
  return { wal: wal as unknown as Wal<string>, fs }
}

/** Appends `count` entries, one by one, named after their indexes. */
export async function fill(wal: Wal<string>, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await wal.append(`e${wal.lastIndex + 1}`)
}

/** Reads and acknowledges entries until that of `index` is among them; gives their indexes. */
export async function readUntil(consumer: WalConsumer<string>, index: number): Promise<number[]> {
  const seen: number[] = []
  for await (const chunk of consumer.chunks()) {
    seen.push(...indexes(chunk))
    await consumer.checkpoint()
    if (chunk.lastIndex >= index) break
  }
  return seen
}

/** Runs until the entry of `index` is processed; gives the indexes the handler was given. */
export async function runUntil(consumer: WalConsumer<string>, index: number): Promise<number[]> {
  const stop = new AbortController()
  const seen: number[] = []
  const running = consumer.run(entries => void seen.push(...indexes(entries)), { signal: stop.signal })
  await Promise.race([consumer.whenProcessed(index), running])
  stop.abort()
  await running
  return seen
}

export function indexes(chunk: Chunk<unknown> | readonly Entry<unknown>[]): number[] {
  return chunk.map(({ index }) => index)
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i)
}
