import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { dirname, resolve } from 'node:path'
import { abortable } from './abort.js'
import { checkOptions, oneOf, rules } from './check-options.js'
import { type Clock, systemClock } from './clock.js'
import { WalError } from './errors.js'
import { withIoErrors } from './file-system/io-error.js'
import { lockOwnerText, readLockOwner } from './file-system/lock-owner.js'
import { nodeFileSystem } from './file-system/node.js'
import type { FileSystem } from './file-system/types.js'
import { ContentReader } from './segments/content-reader.js'
import { createFormat } from './segments/create-format.js'
import { type Examined, examineLog } from './segments/examine.js'
import { readCatalog } from './segments/load.js'
import { classifyNames, LOCK_NAME, MANIFEST_NAME, parseSegmentName } from './segments/name.js'
import { planRepair, type RepairPlan, type Source } from './segments/repair-plan.js'
import { RepairedLog } from './segments/repaired-log.js'
import { walkCommits, walkEntries } from './segments/salvage.js'
import type { CommitContent } from './segments/write-commit.js'
import type { Finding, IndexRange, Progress, RepairReport } from './types.js'

export interface RepairOptions {
  /**
   * `'truncate-at-damage'`: keeps what lies before the first damage. `'salvage'`: keeps every entry that can be verified, also behind
   * damage, and declares what is missing between them as gaps.
   */
  strategy: 'truncate-at-damage' | 'salvage'
  /** Only tells what would be done. Default true. */
  dryRun?: boolean
  /** Directory of the repaired log; must not exist. Default: `<directory>.repaired`. */
  output?: string
  signal?: AbortSignal
  onProgress?: (progress: Progress) => void
  /** The FileSystem of walrus-wal/testing. Default: the real one. */
  fileSystem?: unknown
}

const optionRules = {
  strategy: oneOf('truncate-at-damage', 'salvage'),
  dryRun: rules.boolean,
  output: rules.path,
  signal: rules.signal,
  onProgress: rules.function,
  fileSystem: { must: 'be a FileSystem', isType: (value: unknown) => typeof value === 'object' && value !== null },
}

/**
 * Copies what can be kept of a damaged log into a new directory, as a log of its own with a new id; the damaged one stays as it is. Works
 * without a readable manifest too: the log's extent is then taken from its segments (the finding of kind 'manifest' has the first
 * index that was assumed). An end that was torn is left out, as opening would leave it out. Consumers' checkpoints are not copied: they
 * are positions in another log. Can be killed and run again: nothing stands under the output's name before all of it is durable.
 *
 * With `dryRun` it takes no lock and may run beside a writer. Otherwise it holds the log's lock meanwhile (where that file cannot be
 * written, on a read-only file system, without).
 *
 * Rejects with WAL_NOT_FOUND, WAL_LOCKED, WAL_UNSUPPORTED_VERSION, WAL_NO_SPACE, WAL_IO, WAL_INVALID_OPTION (also for an output that
 * exists), or the signal's reason.
 */
export async function repairWal(directory: string, options: RepairOptions): Promise<RepairReport> {
  if (typeof directory !== 'string' || directory === '') throw new TypeError('repairWal needs the path of a directory')
  checkOptions('repairWal()', options, optionRules)
  if (options?.strategy === undefined)
    throw new WalError(
      'WAL_INVALID_OPTION',
      "repairWal() needs the option 'strategy': 'truncate-at-damage' or 'salvage'.",
    )
  options.signal?.throwIfAborted()
  const path = resolve(directory)
  const repair: Repair = {
    fs: (options.fileSystem as FileSystem | undefined) ?? nodeFileSystem,
    clock: systemClock,
    directory: path,
    output: options.output === undefined ? `${path}.repaired` : resolve(options.output),
    options,
  }
  return abortable(
    withIoErrors('repairing the log in', path, () => run(repair)),
    options.signal,
  )
}

interface Repair {
  fs: FileSystem
  clock: Clock
  directory: string
  output: string
  options: RepairOptions
}

async function run(repair: Repair): Promise<RepairReport> {
  const { dryRun = true } = repair.options
  await refuseExisting(repair)
  if (dryRun) return repairTo(repair, undefined)
  const release = await lockSource(repair)
  try {
    return await repairTo(repair, `${repair.output}.tmp`)
  } finally {
    await release()
  }
}

async function refuseExisting({ fs, output }: Repair): Promise<void> {
  if ((await fs.stat(output)) === undefined) return
  throw new WalError('WAL_INVALID_OPTION', `${output} exists already. Move it away, or give another 'output'.`)
}

/** Errors of a lock file that may not be written: then no writer can be at work through this path either. */
const NOT_WRITABLE = new Set(['EROFS', 'EACCES', 'EPERM'])

async function lockSource({ fs, clock, directory }: Repair): Promise<() => Promise<void>> {
  const path = `${directory}/${LOCK_NAME}`
  // Taking the lock makes its file, which a directory without a log must not get.
  await examineNames(fs, directory)
  const startedAt = Math.round(clock.now() - process.uptime() * 1000)
  try {
    const held = await fs.lock(path, lockOwnerText({ pid: process.pid, host: hostname(), startedAt }))
    if (held !== undefined) return () => held.release()
  } catch (error) {
    if (NOT_WRITABLE.has(String((error as NodeJS.ErrnoException).code))) return async () => undefined
    throw error
  }
  const holder = await readLockOwner(fs, path)
  const who = holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}`
  throw new WalError('WAL_LOCKED', `The log in ${directory} is open for writing in ${who}. Close it there first.`)
}

async function examineNames(fs: FileSystem, directory: string): Promise<void> {
  const found = await fs.stat(directory)
  const { hasManifest, segments } = found === undefined ? classifyNames([]) : await readCatalog(fs, directory)
  if (!hasManifest && segments.length === 0) throw new WalError('WAL_NOT_FOUND', `There is no log in ${directory}.`)
}

/** Reads the log, and writes what is kept into `target`, or, without one, only counts it. */
async function repairTo(repair: Repair, target: string | undefined): Promise<RepairReport> {
  const { fs, directory, output, options } = repair
  const { strategy, signal } = options
  const passes = target === undefined ? 1 : 2
  const examined = await examineLog(fs, directory, {
    ...(signal && { signal }),
    onProgress: ({ done, total, unit }) => options.onProgress?.({ done, total: total * passes, unit }),
  })
  const findings = withAssumption(examined)
  const plan = planRepair(examined, findings, strategy)
  const log = target === undefined ? undefined : await createLog(repair, target, examined, plan)
  try {
    const kept = await copyAll(repair, examined, plan, log)
    const firstKept = kept[0]?.firstIndex ?? plan.firstIndex
    await log?.finish(firstKept, plan.firstIndex)
    if (target !== undefined) await makeKnown(repair, target)
    const keptEntries = kept.reduce((sum, { count }) => sum + count, 0)
    return {
      dryRun: target === undefined,
      strategy,
      findings,
      keptEntries,
      lostRanges: lostRanges(kept, examined, plan),
      output,
    }
  } finally {
    await log?.close()
  }
}

/** Without a manifest the first index is a guess, which the finding names. */
function withAssumption({ survey, lineage, report }: Examined): Finding[] {
  if (!survey.isManifestRebuilt) return report.findings
  return report.findings.map(finding =>
    finding.kind === 'manifest' ? { ...finding, firstIndex: lineage.firstIndex } : finding,
  )
}

async function createLog(repair: Repair, target: string, { survey }: Examined, plan: RepairPlan): Promise<RepairedLog> {
  const { fs, clock } = repair
  const { manifest, files } = survey
  await emptyDirectory(fs, target)
  const headers = files.map(({ header }) => header)
  const logId = randomBytes(16).toString('hex')
  const counter = Math.max(manifest.epochs.at(-1)!.counter, ...headers.map(({ epoch }) => epoch.counter)) + 1
  return new RepairedLog({
    fs,
    directory: target,
    logId,
    epoch: { counter, id: randomBytes(8).toString('hex'), startIndex: plan.sources[0]?.firstIndex ?? plan.firstIndex },
    formatName: manifest.format,
    encoding: manifest.encoding,
    limits: {
      maxEntryBytes: Math.max(16 << 20, ...headers.map(({ maxEntryBytes }) => maxEntryBytes)),
      maxBatchBytes: Math.max(64 << 20, ...headers.map(({ maxBatchBytes }) => maxBatchBytes)),
    },
    format: createFormat(manifest.format, logId),
    now: clock.now(),
  })
}

/** Makes the directory, or empties what an interrupted repair left of it. */
async function emptyDirectory(fs: FileSystem, path: string): Promise<void> {
  const found = await fs.stat(path)
  if (found === undefined) {
    await fs.createDirectory(path)
    await fs.syncDirectory(dirname(path))
    return
  }
  const names = await fs.list(path)
  const foreign = names.find(name => name !== MANIFEST_NAME && parseSegmentName(name) === undefined)
  if (foreign !== undefined)
    throw new WalError('WAL_INVALID_OPTION', `${path} holds '${foreign}', which no repair left there. Move it away.`)
  for (const name of names) await fs.unlink(`${path}/${name}`)
}

async function copyAll(
  { fs, options }: Repair,
  { survey, report }: Examined,
  { sources, firstIndex }: RepairPlan,
  log: RepairedLog | undefined,
): Promise<IndexRange[]> {
  const kept: IndexRange[] = []
  const total = sources.reduce((sum, { offset, end }) => sum + end - offset, 0)
  let before = 0
  let current: Source | undefined
  const reader = new ContentReader(fs, ({ start, length }) => {
    options.signal?.throwIfAborted()
    if (log === undefined || current === undefined) return
    const done = before + Math.min(start + length, current.end) - current.offset
    const read = report.segments.reduce((sum, { bytes }) => sum + bytes, 0)
    options.onProgress?.({ done: read + done, total: read + total, unit: 'bytes' })
  })
  let next = firstIndex
  for (const source of sources) {
    if (log !== undefined && current !== undefined && current.path !== source.path) await log.seal()
    current = source
    const pending: CommitContent[] = []
    const walk = source.kind === 'commits' ? walkCommits : walkEntries
    const wanted = { firstIndex: Math.max(next, source.firstIndex), lastIndex: source.lastIndex }
    await reader.drive(
      source.path,
      walk(survey.format, source, wanted, content => pending.push(content)),
      async () => {
        for (const content of pending.splice(0)) {
          await log?.append(content)
          next = note(kept, content)
        }
      },
    )
    before += source.end - source.offset
  }
  return kept
}

/** Adds a run of entries to the ranges that were kept, and gives the index behind it. */
function note(kept: IndexRange[], { entries }: CommitContent): number {
  const [firstIndex, lastIndex] = [entries[0]!.index, entries.at(-1)!.index]
  const before = kept.at(-1)
  if (before !== undefined && before.lastIndex + 1 === firstIndex) {
    before.lastIndex = lastIndex
    before.count += entries.length
  } else kept.push({ firstIndex, lastIndex, count: entries.length })
  return lastIndex + 1
}

/** What had been there and is in none of the ranges that were kept; an earlier repair's gaps were lost before. */
function lostRanges(kept: readonly IndexRange[], { survey }: Examined, plan: RepairPlan): IndexRange[] {
  const gaps = survey.files.flatMap(({ header }) => (header.gap === undefined ? [] : [header.gap]))
  const known = [...kept, ...gaps].sort((a, b) => a.firstIndex - b.firstIndex)
  const lost: IndexRange[] = []
  let next = plan.firstIndex
  for (const { firstIndex, lastIndex } of [...known, { firstIndex: plan.lastIndex + 1, lastIndex: plan.lastIndex }]) {
    if (firstIndex > next) lost.push({ firstIndex: next, lastIndex: firstIndex - 1, count: firstIndex - next })
    next = Math.max(next, lastIndex + 1)
  }
  return lost
}

/** Gives the finished directory its name. */
async function makeKnown(repair: Repair, target: string): Promise<void> {
  const { fs, output } = repair
  await refuseExisting(repair)
  await fs.rename(target, output)
  await fs.syncDirectory(dirname(output))
}
