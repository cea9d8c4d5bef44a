import type { Format, SegmentHeader } from '../codec/format.js'
import type { Finding, SegmentInfo } from '../types.js'
import { type Audit, auditContent, type Damage } from './audit.js'
import type { ContentReader } from './content-reader.js'
import { emptyEnd, Segment } from './segment.js'
import type { Walk } from './window.js'

/** A segment to be verified, and what is known of its content. */
export interface Target {
  path: string
  header: SegmentHeader
  contentStart: number
  /** Content is looked at up to here. */
  limit: number
  /** What somebody else (the successor, the writer) says stands at `limit`; undefined where nobody does. */
  named: { lastIndex: number; commitCrc: number } | undefined
  /** Where nobody names the end: what lies below had been durable, what is bad above is torn. */
  proven: { offset: number; lastIndex: number }
  sealed: boolean
}

export interface Verdict {
  target: Target
  /** The segment as far as it is part of the log. */
  info: SegmentInfo
  findings: Finding[]
  /** Intact entries. */
  entries: number
  audit: Audit
  /** Where the log ends in an unfinished write. */
  torn: Damage | undefined
  /** Offset of an entry that a later version wrote. */
  unsupportedAt: number | undefined
}

/** Reads a segment from its header to its end. Damage is read a second time before it is called that: a writer may be at work. */
export async function verifySegment(reader: ContentReader, format: Format, target: Target): Promise<Verdict> {
  const first = judge(target, await reader.drive(target.path, walkSegment(format, target)))
  if (first.findings.length === 0) return first
  return judge(target, await reader.drive(target.path, walkSegment(format, target)))
}

interface Walked {
  headerIsWhole: boolean
  audit: Audit
}

function* walkSegment(format: Format, { header, contentStart, limit }: Target): Walk<Walked> {
  const window = yield { offset: 0, length: format.headerBytes }
  const found = format.decodeHeader(window.bytes.subarray(0, window.length))
  const headerIsWhole = found.kind === 'ok' && format.encodeHeader(found.header).equals(format.encodeHeader(header))
  return { headerIsWhole, audit: yield* auditContent(format, header, { contentStart, limit }) }
}

function judge(target: Target, { headerIsWhole, audit }: Walked): Verdict {
  const verdict: Verdict = {
    target,
    torn: undefined,
    info: infoOf(target, audit, { offset: audit.endOffset, lastIndex: audit.lastIndex }),
    findings: [],
    entries: audit.entries,
    audit,
    unsupportedAt: audit.damages.find(damage => damage.unsupportedFlags !== undefined)?.offset,
  }
  if (!headerIsWhole) {
    const message = `${target.path} has another header than it had, or none that can be read.`
    verdict.findings.push({ kind: 'corrupt', segment: target.path, offset: 0, message })
  }
  if (target.named !== undefined) judgeNamed(target, target.named, verdict)
  else judgeOpenEnd(target, verdict)
  if (audit.damagesLeftOut > 0) {
    const message = `${target.path} is damaged in ${audit.damagesLeftOut} more places.`
    verdict.findings.push({ kind: 'corrupt', segment: target.path, message })
  }
  return verdict
}

/** Content whose end somebody names has to be whole up to there. */
function judgeNamed(target: Target, named: NonNullable<Target['named']>, verdict: Verdict): void {
  const { path, header, limit } = target
  const { audit, findings } = verdict
  for (const damage of audit.damages) findings.push(corrupt(target, damage, named.lastIndex))
  // A truncation may have ended the log in the middle of the last commit.
  if (audit.lastIndex > named.lastIndex) verdict.entries -= audit.lastIndex - named.lastIndex
  const lastIndex = Math.min(audit.lastIndex, named.lastIndex)
  verdict.info = infoOf(target, audit, { offset: audit.endOffset, lastIndex })
  if (audit.damages.length > 0) return
  const crc = audit.commitCrc ?? header.predecessor?.commitCrc ?? 0
  if (audit.endOffset === limit && audit.lastIndex >= named.lastIndex && crc === named.commitCrc) return
  if (audit.endOffset === limit && audit.lastIndex >= named.lastIndex) {
    const message = `${path} ends with another commit than the one its successor goes on from. Is it from another copy of the log?`
    findings.push({ kind: 'corrupt', segment: path, offset: audit.endOffset, message })
  } else findings.push(corrupt(target, endOf(audit), named.lastIndex))
}

/** The newest segment: above what is proven the first thing that is bad ends it, as it would at the next opening. */
function judgeOpenEnd(target: Target, verdict: Verdict): void {
  const { audit, findings } = verdict
  const offset = Math.max(target.proven.offset, audit.provenEnd)
  const lastIndex = Math.max(target.proven.lastIndex, 0)
  const isTorn = (damage: Damage) => !target.sealed && damage.offset >= offset && damage.firstIndex > lastIndex
  const torn = audit.damages.find(isTorn)
  const end = torn === undefined ? audit : { endOffset: torn.offset, lastIndex: torn.firstIndex - 1 }
  verdict.info = infoOf(target, audit, { offset: end.endOffset, lastIndex: end.lastIndex })
  for (const damage of audit.damages) {
    if (damage === torn) break
    findings.push(corrupt(target, damage, Math.max(lastIndex, audit.lastIndexSeen)))
  }
  verdict.torn = torn
  if (torn !== undefined) {
    verdict.entries = torn.entriesBefore
    findings.push(tornFinding(target, torn, audit.lastIndexSeen))
  } else if (audit.damages.length === 0 && (audit.endOffset < offset || audit.lastIndex < lastIndex))
    findings.push(corrupt(target, endOf(audit), lastIndex))
}

/** What is missing where the content stops without anything else behind it. */
function endOf(audit: Audit): Pick<Damage, 'offset' | 'reason' | 'firstIndex' | 'lastIndex'> {
  return { offset: audit.endOffset, reason: 'the content ends', firstIndex: audit.lastIndex + 1, lastIndex: undefined }
}

function corrupt(
  { path }: Target,
  damage: Pick<Damage, 'offset' | 'reason' | 'firstIndex' | 'lastIndex'>,
  knownLastIndex: number,
): Finding {
  const { offset, firstIndex } = damage
  const lastIndex = damage.lastIndex ?? Math.max(knownLastIndex, firstIndex - 1)
  const range = lastIndex < firstIndex ? {} : { firstIndex, lastIndex }
  const lost = lastIndex < firstIndex ? 'no entry is missing' : `entries ${firstIndex} to ${lastIndex} are lost`
  const message = `${path}: ${damage.reason} at offset ${offset}, where content had been durable; ${lost}.`
  return { kind: 'corrupt', segment: path, offset, ...range, message }
}

function tornFinding({ path }: Target, { offset, end, firstIndex, reason }: Damage, lastIndexSeen: number): Finding {
  const message = `${path} ends in an unfinished write: ${reason} at offset ${offset}, ${end - offset} bytes up to the last that is not zero.`
  const finding: Finding = { kind: 'torn', segment: path, offset, firstIndex, message }
  if (lastIndexSeen >= firstIndex) finding.lastIndex = lastIndexSeen
  return finding
}

function infoOf(target: Target, audit: Audit, end: { offset: number; lastIndex: number }): SegmentInfo {
  const { header, path, contentStart, sealed } = target
  const { minTimestamp, maxTimestamp } = audit
  const whole = { ...emptyEnd(header, contentStart), ...end, minTimestamp, maxTimestamp }
  return new Segment(header, path, contentStart, whole, sealed).info()
}
