import { openWal, WalError } from '../../src/index.js'
import type { SimulatedFileSystem } from '../../src/testing.js'
import type { RecoveryReport, WalOptions } from '../../src/types.js'
import { directory, type Written } from '../helpers/small-log.js'
import { type Files, type Image, restore } from './image.js'

/** What became of a damaged log: all of it, a typed error (after some of its first entries), or less than all, reported. */
export type Outcome =
  | { kind: 'whole' }
  | { kind: 'refused'; error: WalError; read: number }
  | { kind: 'left-out'; read: number; report: RecoveryReport }

/** A log gave what it must not: lost entries in silence, an entry nobody wrote, or an error that is no WalError. */
class Violation extends Error {}

/** Opens a damaged log and reads all of it. Throws a Violation for everything that promise 3 of docs/DURABILITY.md forbids. */
export async function judge(
  files: Files,
  { entries }: Pick<Image, 'entries'>,
  options: WalOptions = {},
): Promise<Outcome> {
  const fs = await restore(files)
  const read: Written[] = []
  try {
    const report = await readInto(fs, read, options)
    assertPrefix(read, entries)
    if (read.length === entries.length) return { kind: 'whole' }
    if (report.cutFromIndex === read.length + 1) return { kind: 'left-out', read: read.length, report }
    if (isCutBetweenCommits(report)) return { kind: 'left-out', read: read.length, report }
    throw new Violation(`${read.length} of ${entries.length} entries, and no error: ${JSON.stringify(report)}`)
  } catch (error) {
    if (error instanceof Violation) throw error
    if (!(error instanceof WalError)) throw new Violation('no WalError', { cause: error })
    assertPrefix(read, entries)
    return { kind: 'refused', error, read: read.length }
  }
}

/**
 * A killed log whose file ends behind a whole commit, with no mark to say that there was more: no format without a second copy
 * can know, so there is nothing to report.
 */
function isCutBetweenCommits({ clean, cutBytes }: RecoveryReport): boolean {
  return !clean && cutBytes === 0
}

/** The log is left open: closing it would cost more than all the rest, and tells nothing. */
async function readInto(fs: SimulatedFileSystem, read: Written[], options: WalOptions): Promise<RecoveryReport> {
  const wal = await openWal(directory, { fileSystem: fs, io: 'buffered', ...options })
  for await (const { index, data, checksum } of wal.replay()) read.push({ index, data: String(data), checksum })
  if (read.length > 0 && wal.lastIndex !== read.at(-1)!.index) throw new Violation(`lastIndex is ${wal.lastIndex}`)
  return wal.recoveryReport
}

function assertPrefix(read: readonly Written[], entries: readonly Written[]): void {
  read.forEach((entry, i) => {
    const wanted = entries[i]
    const isSame = wanted?.index === entry.index && wanted.data === entry.data && wanted.checksum === entry.checksum
    if (!isSame) throw new Violation(`entry ${i + 1} is ${JSON.stringify(entry)} instead of ${JSON.stringify(wanted)}`)
  })
}

/** Judges many damages, and fails with the name of the first that brought a violation. Gives how many ended how. */
export async function sweep(
  damages: Iterable<{ name: string; files: Files }>,
  image: Pick<Image, 'entries'>,
  check: (outcome: Outcome, name: string) => void = () => undefined,
  options: WalOptions = {},
): Promise<Record<Outcome['kind'], number>> {
  const counts = { whole: 0, refused: 0, 'left-out': 0 }
  for (const { name, files } of damages) {
    const outcome = await judge(files, image, options).catch(error => {
      throw new Error(`${name}: ${error.message}`, { cause: error })
    })
    check(outcome, name)
    counts[outcome.kind]++
  }
  return counts
}
