import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { abortable } from './abort.js'
import { checkOptions, rules } from './check-options.js'
import { type Clock, systemClock } from './clock.js'
import { crc32 } from './codec/crc32.js'
import { livingHolder } from './file-system/lock-owner.js'
import { nodeFileSystem } from './file-system/node.js'
import { readFully } from './file-system/transfer.js'
import type { FileSystem } from './file-system/types.js'
import { createFormat } from './segments/create-format.js'
import { type Examined, examineLog } from './segments/examine.js'
import { readCatalog, readMark } from './segments/load.js'
import { LOCK_NAME } from './segments/name.js'
import { type Survey, surveyLog } from './segments/survey.js'
import { isOk } from './segments/verification.js'
import type { Finding, VerifyOptions, VerifyReport } from './types.js'

/** What `verifyWal` takes beside the options it shares with `wal.verify`. */
export interface VerifyWalOptions extends VerifyOptions {
  /** The FileSystem of walrus-wal/testing. Default: the real one. */
  fileSystem?: unknown
}

const optionRules = {
  signal: rules.signal,
  onProgress: rules.function,
  fileSystem: { must: 'be a FileSystem', isType: (value: unknown) => typeof value === 'object' && value !== null },
}

/**
 * Reads all of the log in `directory` and reports, per segment, what is damaged, torn or missing. Writes nothing, takes no lock,
 * and may run beside the log's writer; memory stays bounded by the largest commit. Damage is never an exception but a finding.
 *
 * Rejects with WAL_NOT_FOUND (no log there), WAL_UNSUPPORTED_VERSION, WAL_IO, WAL_INVALID_OPTION, or the signal's reason.
 */
export async function verifyWal(directory: string, options: VerifyWalOptions = {}): Promise<VerifyReport> {
  if (typeof directory !== 'string' || directory === '') throw new TypeError('verifyWal needs the path of a directory')
  checkOptions('verifyWal()', options, optionRules)
  options.signal?.throwIfAborted()
  const fs = (options.fileSystem as FileSystem | undefined) ?? nodeFileSystem
  const parts = { fs, clock: systemClock, pause: (ms: number) => sleep(ms), options }
  return abortable(verifyWith(resolve(directory), parts), options.signal)
}

export interface VerifyParts {
  fs: FileSystem
  clock: Clock
  pause: (ms: number) => Promise<unknown>
  options: VerifyOptions
}

/** A log that is cut or retained while it is read may have to be read again; one that never rests is reported as it was seen. */
const ATTEMPTS = 5

/** As `verifyWal`, with file system, clock and waiting given: for tests. */
export async function verifyWith(directory: string, parts: VerifyParts): Promise<VerifyReport> {
  const { fs, clock } = parts
  const startedAt = clock.monotonic()
  let examined = await examineLog(fs, directory, parts.options)
  for (let attempt = 1; attempt < ATTEMPTS && examined.report.findings.length > 0; attempt++) {
    const again = await surveyLog(fs, directory, createFormat)
    if (isSameHistory(examined.survey, again)) break
    examined = await examineLog(fs, directory, parts.options)
  }
  const findings = await withoutUnderWay(directory, examined, parts)
  return { ...examined.report, ok: isOk(findings), findings, durationMs: clock.monotonic() - startedAt }
}

/** Whether nobody cut, emptied or shortened the log between two looks at it. */
function isSameHistory(a: Survey, b: Survey): boolean {
  const key = ({ manifest, files }: Survey) =>
    [
      manifest.logId,
      manifest.firstIndex,
      manifest.epochs.at(-1)!.id,
      files[0]?.id,
      files.at(-1)?.header.epoch.id,
    ].join()
  return key(a) === key(b)
}

const LOOKS = 10
const LOOK_INTERVAL_MS = 100

/** Leaves out the torn end that a living writer is just about to finish: one whose files change while they are watched. */
async function withoutUnderWay(
  directory: string,
  { survey, report }: Examined,
  parts: VerifyParts,
): Promise<Finding[]> {
  const { findings } = report
  const torn = findings.find(({ kind }) => kind === 'torn')
  if (torn === undefined || (await livingHolder(parts.fs, `${directory}/${LOCK_NAME}`)) === undefined) return findings
  const before = await fingerprint(survey, torn, parts.fs)
  for (let look = 0; look < LOOKS; look++) {
    parts.options.signal?.throwIfAborted()
    await parts.pause(LOOK_INTERVAL_MS)
    if ((await fingerprint(survey, torn, parts.fs)) !== before) return findings.filter(finding => finding !== torn)
  }
  return findings
}

/** Changes when a writer is at work: the mark, the names, and the bytes where the log ended. */
async function fingerprint({ directory, manifest }: Survey, torn: Finding, fs: FileSystem): Promise<string> {
  const mark = await readMark(fs, directory, manifest.logId)
  const { segments } = await readCatalog(fs, directory)
  if ((await fs.stat(torn.segment!)) === undefined) return 'removed'
  const file = await fs.open(torn.segment!, 'read')
  try {
    const bytes = Buffer.alloc(65536)
    const length = await readFully(file, bytes, bytes.length, torn.offset!)
    return JSON.stringify([mark, segments, await file.size(), crc32(bytes, 0, length)])
  } finally {
    await file.close()
  }
}
