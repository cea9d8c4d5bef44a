import type { Clock } from '../clock.js'
import { MANIFEST_MAGIC } from '../codec/manifest.js'
import type { LogStatus } from '../contract.js'
import { WalError } from '../errors.js'
import { TwoSlotFile } from '../file-system/two-slot-file.js'
import type { FileSystem } from '../file-system/types.js'
import { MANIFEST_NAME } from '../segments/name.js'
import type { Segment } from '../segments/segment.js'
import { isOk, verifyTargets } from '../segments/verification.js'
import type { Target } from '../segments/verify-segment.js'
import type { Finding, VerifyOptions, VerifyReport } from '../types.js'
import type { ReadableState } from './read-side.js'

/** What verifying needs to know of an open log. */
export interface VerifiableState extends ReadableState {
  readonly durableIndex: number
  readonly status: LogStatus
}

/**
 * Verifies a log that this process has open, up to `committedIndex` as of the call: the writer knows exactly where its content
 * ends, so there is nothing to guess. Segments that are removed meanwhile are left out.
 */
export async function verifyOpenLog(
  fs: FileSystem,
  clock: Clock,
  log: VerifiableState,
  options: VerifyOptions,
): Promise<VerifyReport> {
  const startedAt = clock.monotonic()
  const check = () => {
    if (log.status === 'closing' || log.status === 'closed')
      throw new WalError('WAL_CLOSED', `The log in ${log.directory} was closed before it was verified to its end.`)
  }
  check()
  const targets = log.segments.map(segment => targetOf(segment, log))
  const findings = await examineManifest(fs, log.directory)
  check()
  const { report } = await verifyTargets({
    fs,
    format: log.format,
    targets,
    options,
    check,
    hasLeft: target => !log.segments.some(({ path }) => path === target.path),
  })
  check()
  findings.push(...report.findings)
  return { ...report, ok: isOk(findings), findings, durationMs: clock.monotonic() - startedAt }
}

function targetOf({ path, header, contentStart, end, sealed }: Segment, log: VerifiableState): Target {
  const common = { path, header, contentStart, limit: end.offset, sealed }
  const { offset, lastIndex, commitCrc, commitOffset } = end
  if (sealed || log.failure === undefined) {
    // A follower knows where the newest segment ends, and not with which commit.
    const isNamed = sealed || commitOffset > 0 || lastIndex < header.firstIndex
    return { ...common, named: isNamed ? { lastIndex, commitCrc } : undefined, proven: { offset, lastIndex } }
  }
  // After a failed sync nobody knows what became of the entries above the durable ones.
  return { ...common, named: undefined, proven: { offset: 0, lastIndex: log.durableIndex } }
}

async function examineManifest(fs: FileSystem, directory: string): Promise<Finding[]> {
  const path = `${directory}/${MANIFEST_NAME}`
  const found = await TwoSlotFile.inspect(fs, path, MANIFEST_MAGIC)
  if (found.kind === 'ok' && found.damagedSlot === undefined) return []
  if (found.kind !== 'ok') return [{ kind: 'manifest', message: `${path} is gone, or damaged in both slots.` }]
  const { slot, offset } = found.damagedSlot!
  return [{ kind: 'manifest', offset, message: `${path}: slot ${slot} of two is damaged; the other one counts.` }]
}
