import type { SegmentHeader } from '../codec/format.js'
import type { Finding } from '../types.js'
import { lowestIndexOf, type SegmentFile } from './chain.js'
import type { Survey } from './survey.js'

/** The segments that make up a damaged log, as far as the links between them can be followed. */
export interface Lineage {
  /** Oldest first. */
  links: Link[]
  firstIndex: number
  findings: Finding[]
}

export interface Link {
  file: SegmentFile
  /** Header of the segment that names this one as its predecessor; undefined when that one is missing, or this is the newest. */
  successor: SegmentHeader | undefined
}

/**
 * Follows the links as opening does (chain.ts), but notes what is wrong and goes on: behind a missing segment with the next one
 * that is there.
 */
export function traceLineage({ files, manifest, isManifestRebuilt, directory }: Survey): Lineage {
  // Without a manifest nobody knows where the log began: the oldest segment that the links lead to has to do.
  const firstIndex = isManifestRebuilt ? 0 : manifest.firstIndex
  const findings: Finding[] = []
  const own = files.filter(file => belongs(file, manifest.logId, findings))
  const newest = own.reduce<SegmentFile | undefined>((a, b) => (a !== undefined && a.id > b.id ? a : b), undefined)
  const lineage: Lineage = { links: [], firstIndex, findings }
  if (newest === undefined || newest.id < manifest.newestId) noteMissingNewest(lineage, newest, { directory, manifest })
  if (newest === undefined) return lineage
  let link: Link | undefined = { file: newest, successor: undefined }
  // Of two files with one id the first counts.
  const byId = new Map([...own].reverse().map(file => [file.id, file]))
  while (link !== undefined) {
    lineage.links.push(link)
    link = nextBelow(link.file, { own, byId }, lineage, manifest.epochs.at(-1)!.counter)
  }
  lineage.links.reverse()
  if (isManifestRebuilt) lineage.firstIndex = lineage.links[0]!.file.header.firstIndex
  noteUnlinked(lineage, own, newest)
  return lineage
}

function belongs(file: SegmentFile, logId: string, findings: Finding[]): boolean {
  const { path, header } = file
  if (header.logId !== logId) {
    const message = `${path} belongs to another log (id ${header.logId}, this one is ${logId}).`
    findings.push({ kind: 'foreign', segment: path, message })
    return false
  }
  if (header.id === file.id && header.firstIndex === file.firstIndex) return true
  const message = `${path} is not what its name says: its header says segment ${header.id} from index ${header.firstIndex}. Was it renamed or copied?`
  findings.push({ kind: 'duplicate', segment: path, message })
  return false
}

function noteMissingNewest(
  { findings }: Lineage,
  newest: SegmentFile | undefined,
  { directory, manifest }: Pick<Survey, 'directory' | 'manifest'>,
): void {
  if (manifest.newestId === 0) return
  const { floor } = manifest
  const message = `${directory}: segment ${manifest.newestId}, which the manifest names as the newest, is missing.`
  const finding: Finding = { kind: 'missing', message }
  const firstIndex = newest === undefined ? manifest.firstIndex : undefined
  if (firstIndex !== undefined && floor.index >= firstIndex)
    Object.assign(finding, { firstIndex, lastIndex: floor.index })
  findings.push(finding)
}

/** The link below `at`: its predecessor, or, when that is missing, the newest segment older than it. */
function nextBelow(
  at: SegmentFile,
  { own, byId }: { own: SegmentFile[]; byId: ReadonlyMap<number, SegmentFile> },
  lineage: Lineage,
  knownEpoch: number,
): Link | undefined {
  const { header, path } = at
  const { firstIndex, findings } = lineage
  if (header.predecessor === undefined) {
    const resets = header.epoch.counter > knownEpoch && header.epoch.startIndex === header.firstIndex
    if (resets) lineage.firstIndex = header.firstIndex
    else if (firstIndex > 0 && lowestIndexOf(at) > firstIndex) {
      const message = `The segments with the entries ${firstIndex} to ${header.firstIndex - 1}, before ${path}, are missing.`
      findings.push({ kind: 'missing', segment: path, firstIndex, lastIndex: header.firstIndex - 1, message })
    }
    return undefined
  }
  if (lowestIndexOf(at) <= firstIndex) return undefined
  const { id, lastIndex } = header.predecessor
  const found = byId.get(id)
  if (found !== undefined && found.firstIndex <= header.firstIndex) {
    noteBreak(found, at, findings)
    return { file: found, successor: header }
  }
  const older = own.filter(file => file.id < id && file.firstIndex <= header.firstIndex).at(-1)
  if (older === undefined && firstIndex === 0) return undefined
  const from = older === undefined ? firstIndex : older.firstIndex
  const message = `Segment ${id}, the predecessor of ${path}, is missing.`
  // Where the one before it ends is known only once it was read, so the range is at most this.
  findings.push({ kind: 'missing', segment: path, firstIndex: from, lastIndex, message })
  return older && { file: older, successor: undefined }
}

function noteBreak(found: SegmentFile, at: SegmentFile, findings: Finding[]): void {
  const { epoch, predecessor } = at.header
  const { lastIndex } = predecessor!
  if (lastIndex + 1 !== lowestIndexOf(at)) {
    const message = `${at.path} does not continue ${found.path}: their indexes do not meet.`
    findings.push({
      kind: 'missing',
      segment: at.path,
      firstIndex: lastIndex + 1,
      lastIndex: at.firstIndex - 1,
      message,
    })
  }
  const older = found.header.epoch
  if (older.counter > epoch.counter || (older.counter === epoch.counter && older.id !== epoch.id)) {
    const message = `${found.path} was written in another history of this log (epoch ${older.counter}).`
    findings.push({ kind: 'foreign', segment: found.path, message })
  }
}

/** What is off the chain is left over from a cut when its epoch is older, and unexplained otherwise. */
function noteUnlinked({ links, findings }: Lineage, own: SegmentFile[], newest: SegmentFile): void {
  const oldest = links[0]!.file
  const linked = new Set(links.map(link => link.file))
  for (const file of own) {
    if (linked.has(file) || file.id < oldest.id || file.header.epoch.counter < newest.header.epoch.counter) continue
    const message = `${file.path} is not linked to the rest of the log although it is of the same epoch. Was it restored from a copy?`
    findings.push({ kind: 'duplicate', segment: file.path, message })
  }
}
