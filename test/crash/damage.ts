import { text } from '../../src/codec/encoding.js'
import { WalError } from '../../src/errors.js'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import { Random } from '../../src/file-system/simulation/random.js'
import { openWith } from '../../src/open.js'
import type { Encoding, Wal } from '../../src/types.js'
import { ManualClock } from '../helpers/manual-clock.js'
import { useRandomBytesOf } from './determinism.js'
import { DIRECTORY } from './scene.js'
import { POLICIES, type PolicyName } from './workload.js'

export interface DamageOutcome {
  damages: number
  /** What went wrong, in words. */
  failures: string[]
}

const TYPED: ReadonlySet<string> = new Set(['WAL_CORRUPT', 'WAL_UNSUPPORTED_VERSION', 'WAL_MISMATCH'])
const MAX_FAILURES = 5

/** Entries in the last commit of the log that is written. */
const LAST_COMMIT = 2

/**
 * Flips bits all over the files of a log, one at a time, and blanks whole headers: whoever opens and reads it gets the same data or
 * a typed error. Of a log that was not closed the last commit alone may count as torn.
 */
export async function sweepDamage(policy: PolicyName, seed: number, stride: number): Promise<DamageOutcome> {
  const restore = useRandomBytesOf(seed)
  const outcome: DamageOutcome = { damages: 0, failures: [] }
  try {
    await sweep(outcome, { policy, seed, stride, isClosed: true })
    if ('sync' in POLICIES[policy] && POLICIES[policy].sync === 'always')
      await sweep(outcome, { policy, seed, stride, isClosed: false })
  } finally {
    restore()
  }
  return outcome
}

interface Sweep {
  policy: PolicyName
  seed: number
  stride: number
  isClosed: boolean
}

async function sweep(outcome: DamageOutcome, { policy, seed, stride, isClosed }: Sweep): Promise<void> {
  const fs = new SimulatedFileSystem({ seed })
  const written = await writeLog(fs, policy, isClosed)
  const allowed = isClosed ? [written] : [written, written.slice(0, -LAST_COMMIT)]
  const random = new Random(seed)
  const log = isClosed ? 'a closed log' : 'an open log'
  for (const path of await filesOf(fs)) {
    const bytes = fs.contents(path)
    for (let at = random.below(stride); at < bytes.length; at += 1 + random.below(2 * stride - 1)) {
      // Zeros far behind the content are the most and the dullest.
      if (bytes[at] === 0 && random.below(8) > 0) continue
      const bit = random.below(8)
      const what = `bit ${bit} of byte ${at} of ${path} flipped in ${log}`
      await check(outcome, what, allowed, damaged(fs, path, at, 1 << bit))
      if (outcome.failures.length >= MAX_FAILURES) return
    }
    await check(outcome, `${path} without its first page in ${log}`, allowed, blanked(fs, path))
  }
}

async function writeLog(fs: SimulatedFileSystem, policy: PolicyName, isClosed: boolean): Promise<string[]> {
  const wal = await open(fs, policy)
  const written: string[] = []
  for (let segment = 0; segment < 3; segment++) {
    const data = Array.from({ length: 6 }, (_, i) => `${segment} ${i} `.padEnd(9 + 37 * i, 'x'))
    await wal.append(data[0]!)
    await wal.appendBatch(data.slice(1, 6 - LAST_COMMIT))
    const transaction = wal.transaction()
    for (const one of data.slice(6 - LAST_COMMIT)) transaction.append(one)
    await transaction.commit()
    written.push(...data)
    if (segment < 2) await wal.rotate()
  }
  if (isClosed) await wal.close()
  return written
}

function open(fs: SimulatedFileSystem, policy?: PolicyName): Promise<Wal<string>> {
  const encoding = text() as unknown as Encoding<never, unknown>
  const options = { ...(policy && POLICIES[policy]), encoding, fileSystem: fs }
  return openWith(DIRECTORY, options, new ManualClock()) as unknown as Promise<Wal<string>>
}

async function filesOf(fs: SimulatedFileSystem): Promise<string[]> {
  const names = await fs.list(DIRECTORY)
  return names.map(name => `${DIRECTORY}/${name}`).sort()
}

function damaged(fs: SimulatedFileSystem, path: string, at: number, mask: number): SimulatedFileSystem {
  const copy = fs.crashImage({ seed: 1 })
  const bytes = copy.contents(path)
  bytes[at]! ^= mask
  copy.place(path, bytes)
  return copy
}

function blanked(fs: SimulatedFileSystem, path: string): SimulatedFileSystem {
  const copy = fs.crashImage({ seed: 1 })
  const bytes = copy.contents(path)
  copy.place(path, bytes.fill(0, 0, Math.min(4096, bytes.length)))
  return copy
}

async function check(
  outcome: DamageOutcome,
  what: string,
  allowed: readonly string[][],
  fs: SimulatedFileSystem,
): Promise<void> {
  outcome.damages++
  const found: string[] = []
  try {
    const wal = await open(fs)
    for await (const { data } of wal.replay()) found.push(data)
    if (allowed.some(written => written.join() === found.join())) return
    outcome.failures.push(`${what}: ${found.length} entries read, ${allowed[0]!.length} written`)
  } catch (error) {
    if (error instanceof WalError && TYPED.has(error.code)) return
    outcome.failures.push(`${what}: ${error instanceof Error ? error.stack : error}`)
  }
}
