import { boundBy, type Claim } from './chain.js'
import type { Lineage, Link } from './lineage.js'
import type { Survey } from './survey.js'
import type { Target } from './verify-segment.js'

/** What has to be read to verify a log, and how far each segment is known to reach. */
export function targetsOf(survey: Survey, { links }: Lineage): Target[] {
  return links.map((link, i) => (i === links.length - 1 ? lastTarget(survey, links) : targetOf(link)))
}

/** A segment before the newest. One whose successor is missing has no known end: all that was written to it had been durable. */
function targetOf({ file, successor }: Link): Target {
  const { path, header, contentStart, fileBytes } = file
  const common = { path, header, contentStart, proven: { offset: 0, lastIndex: 0 }, sealed: true }
  if (successor?.predecessor === undefined) return { ...common, limit: fileBytes, named: undefined }
  const { endOffset, lastIndex, commitCrc } = successor.predecessor
  return { ...common, limit: endOffset, named: { lastIndex, commitCrc } }
}

function lastTarget({ manifest, mark, isManifestRebuilt }: Survey, links: readonly Link[]): Target {
  const last = links.at(-1)!
  const { header, id, fileBytes } = last.file
  if (id < manifest.newestId) return targetOf(last)
  const claims: Claim[] = isManifestRebuilt ? [] : [{ ...manifest.floor, epoch: manifest.epochs.at(-1)! }]
  if (mark !== undefined) claims.push(mark)
  const linked = links.map(link => link.file)
  const bounds = claims.map(claim => boundBy(claim, linked))
  const proven = {
    offset: Math.max(header.publishedEnd, ...bounds.map(bound => bound.offset)),
    lastIndex: Math.max(header.publishedLastIndex, ...bounds.map(bound => bound.lastIndex)),
  }
  return { ...targetOf(last), limit: fileBytes, proven, sealed: false }
}
