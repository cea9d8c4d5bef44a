import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type Clock, systemClock } from '../../src/clock.js'
import { text } from '../../src/codec/encoding.js'
import { openWith } from '../../src/open.js'
import { SimulatedFileSystem } from '../../src/testing.js'
import type { Chunk, Cursor, Encoding, Entry, Wal, WalOptions } from '../../src/types.js'
import { DiskSwitch } from '../helpers/disk-switch.js'
import { ManualClock } from '../helpers/manual-clock.js'
import { withThread } from '../helpers/simulated-thread.js'

/** A directory for a log, with whatever lies under it, and the way to open the log and to meddle with its files. */
export interface World {
  readonly directory: string
  /** Opens the log with the encoding `text()`. It is closed when the test ends. */
  open(options?: WalOptions): Promise<Wal<string>>
  openAs<Out, In>(encoding: Encoding<In, Out>, options?: WalOptions): Promise<Wal<Out, In>>
  names(): Promise<string[]>
  read(name: string): Buffer
  write(name: string, bytes: Uint8Array): Promise<void>
  remove(name: string): void
}

/** A world in which time and the disk do what the test says. */
export interface HeldWorld extends World {
  readonly clock: ManualClock
  readonly fs: SimulatedFileSystem
  /** What happens from now on to writes of segments: see DiskSwitch. */
  setDisk(state: 'ok' | 'held' | 'full' | 'broken'): void
}

/** How a suite gets its worlds: each a new one, with options of which the caller's win. */
export type MakeWorld = () => World
export type MakeHeldWorld = () => HeldWorld

/** A directory of the real file system, by the real clock. */
export function realWorlds(base: WalOptions = {}): MakeWorld {
  return () => {
    const root = mkdtempSync(join(tmpdir(), 'walrus-world-'))
    const directory = join(root, 'log')
    onTestFinished(() => rmSync(root, { recursive: true }))
    const open = opener(directory, base, systemClock)
    const pathOf = (name: string) => join(directory, name)
    return {
      directory,
      open: options => open(text(), options),
      openAs: open,
      names: async () => readdirSync(directory).sort(),
      read: name => readFileSync(pathOf(name)),
      async write(name, bytes) {
        mkdirSync(directory, { recursive: true })
        writeFileSync(pathOf(name), bytes)
      },
      remove: name => rmSync(pathOf(name), { recursive: true }),
    }
  }
}

/** A simulated disk, by a clock that stands still until it is moved. */
export function heldWorlds(base: WalOptions = {}): MakeHeldWorld {
  return () => {
    const fs = new SimulatedFileSystem()
    const disk = new DiskSwitch(fs)
    const clock = new ManualClock()
    const directory = '/log'
    const open = opener(directory, { ...base, fileSystem: fs }, clock, () => disk.set('ok'))
    return {
      directory,
      clock,
      fs,
      setDisk: state => disk.set(state),
      open: options => open(text(), options),
      openAs: open,
      names: async () => (await fs.list(directory)).sort(),
      read: name => fs.contents(`${directory}/${name}`),
      async write(name, bytes) {
        if ((await fs.stat(directory)) === undefined) await fs.createDirectory(directory)
        fs.place(`${directory}/${name}`, bytes)
      },
      remove: name => fs.remove(`${directory}/${name}`),
    }
  }
}

function opener(directory: string, base: WalOptions, clock: Clock, beforeClosing = () => {}) {
  return async <Out, In>(encoding: Encoding<In, Out>, options: WalOptions = {}): Promise<Wal<Out, In>> => {
    const given = { ...base, ...options, encoding: encoding as unknown as Encoding<never, unknown> }
    if (given.writerThread && given.fileSystem instanceof SimulatedFileSystem) withThread(given.fileSystem)
    const wal = (await openWith(directory, given, clock)) as unknown as Wal<Out, In>
    // A log that failed says so when it is closed, which is no news to a test that is over.
    onTestFinished(() => {
      beforeClosing()
      return wal.close().catch(() => undefined)
    })
    return wal
  }
}

// ---- words for what tests do again and again ----------------------------------------------------------------------

/** Appends one entry after the other, each awaited. */
export async function appendEach(wal: Wal<string>, ...data: string[]): Promise<void> {
  for (const one of data) await wal.append(one)
}

/** Appends `count` entries that say which they are: 'entry 1' and so on. */
export async function fill(wal: Wal<string>, count: number): Promise<void> {
  const next = wal.lastIndex + 1
  const data = Array.from({ length: count }, (_, i) => `entry ${next + i}`)
  await Promise.all(data.map(one => wal.append(one)))
}

export async function entriesOf<T>(cursor: AsyncIterable<Entry<T>>): Promise<Entry<T>[]> {
  const entries: Entry<T>[] = []
  for await (const entry of cursor) entries.push(entry)
  return entries
}

export async function indexesOf(cursor: AsyncIterable<Entry<unknown>>): Promise<number[]> {
  return (await entriesOf(cursor)).map(entry => entry.index)
}

export async function dataOf<T>(cursor: AsyncIterable<Entry<T>>): Promise<T[]> {
  return (await entriesOf(cursor)).map(entry => entry.data)
}

export async function chunksOf<T>(cursor: Cursor<T>): Promise<Chunk<T>[]> {
  const chunks: Chunk<T>[] = []
  for await (const chunk of cursor.chunks()) chunks.push(chunk)
  return chunks
}

/** first, ..., last. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i)
}

/** Where the log stands, in one line for `toEqual`. */
export function marks({ lastIndex, committedIndex, durableIndex }: Wal<unknown, never>): number[] {
  return [lastIndex, committedIndex, durableIndex]
}
