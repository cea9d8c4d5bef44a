import type { Format } from '../codec/format.js'
import { WalError } from '../errors.js'
import { errnoOf, isMissing } from '../file-system/errno.js'
import { ioError } from '../file-system/io-error.js'
import type { FileSystem } from '../file-system/types.js'
import type { Finding, VerifyOptions, VerifyReport } from '../types.js'
import { ContentReader } from './content-reader.js'
import { type Target, type Verdict, verifySegment } from './verify-segment.js'

export interface Verification {
  fs: FileSystem
  format: Format
  targets: readonly Target[]
  options: VerifyOptions
  /** Called after each read; throws when the verification must end. */
  check: () => void
  /** Whether a segment that is gone has left the log meanwhile, so that nothing is wrong. */
  hasLeft: (target: Target) => boolean
}

export interface Verified {
  report: Omit<VerifyReport, 'durationMs'>
  verdicts: Verdict[]
}

/** Reads all content of the targets, one window at a time, and tells what is wrong with it. */
export async function verifyTargets(verification: Verification): Promise<Verified> {
  const { fs, targets, options } = verification
  const total = targets.reduce((sum, { limit }) => sum + limit, 0)
  let before = 0
  let current: Target | undefined
  const reader = new ContentReader(fs, ({ start, length }) => {
    options.signal?.throwIfAborted()
    verification.check()
    const done = before + Math.min(start + length, current?.limit ?? 0)
    options.onProgress?.({ done, total, unit: 'bytes' })
  })
  const findings: Finding[] = []
  const verdicts: Verdict[] = []
  for (const target of targets) {
    current = target
    const outcome = await verifyOne(verification, reader, target)
    before += target.limit
    if (outcome === undefined) continue
    if ('message' in outcome) findings.push(outcome)
    else {
      verdicts.push(outcome)
      findings.push(...outcome.findings)
    }
  }
  const entries = verdicts.reduce((sum, verdict) => sum + verdict.entries, 0)
  const segments = verdicts.map(({ info }) => info)
  const { bytesRead: bytes, throughPageCache } = reader
  return { report: { ok: isOk(findings), entries, bytes, segments, findings, throughPageCache }, verdicts }
}

/** Nothing is damaged. A gap that a repair has declared is no damage, and is listed all the same. */
export function isOk(findings: readonly Finding[]): boolean {
  return findings.every(({ kind }) => kind === 'gap')
}

/** A finding when the file cannot be read at all; undefined when the segment has left the log. */
async function verifyOne(
  { format, hasLeft }: Verification,
  reader: ContentReader,
  target: Target,
): Promise<Verdict | Finding | undefined> {
  let verdict: Verdict
  try {
    verdict = await verifySegment(reader, format, target)
  } catch (error) {
    return isMissing(error) && hasLeft(target) ? undefined : unreadable(target, error)
  }
  const { path, header } = target
  if (verdict.unsupportedAt !== undefined) {
    const message = `${path} holds an entry of a later version of walrus-wal at offset ${verdict.unsupportedAt}. Update the package.`
    throw new WalError('WAL_UNSUPPORTED_VERSION', message, { segment: path, offset: verdict.unsupportedAt })
  }
  if (header.gap !== undefined) verdict.findings.push(declaredGap(path, header.gap))
  return verdict
}

function declaredGap(path: string, gap: { firstIndex: number; lastIndex: number }): Finding {
  const message = `Entries ${gap.firstIndex} to ${gap.lastIndex}, before ${path}, were lost and left out by a repair.`
  return { kind: 'gap', segment: path, ...gap, message }
}

function unreadable({ path, header, named }: Target, error: unknown): Finding {
  const { code, message } = error as NodeJS.ErrnoException
  const range = { firstIndex: header.firstIndex, ...(named && { lastIndex: named.lastIndex }) }
  if (code === 'ENOENT') return { kind: 'missing', segment: path, ...range, message: `${path} is gone.` }
  if (code === 'EIO') return { kind: 'corrupt', segment: path, ...range, message: `${path} cannot be read: ${message}` }
  throw errnoOf(error) === 0 ? error : ioError('reading', path, error)
}
