const DIGITS = 16
const PATTERN = /^(\d{16})-(\d{16})\.wal$/

/** `<segment id>-<first index>.wal`, zero-padded so that names sort as numbers do. */
export function segmentName(id: number, firstIndex: number): string {
  return `${pad(id)}-${pad(firstIndex)}.wal`
}

/** The numbers in a segment's name; undefined for every other name. */
export function parseSegmentName(name: string): { id: number; firstIndex: number } | undefined {
  const match = PATTERN.exec(name)
  return match === null ? undefined : { id: Number(match[1]), firstIndex: Number(match[2]) }
}

/** The name of a sealed segment's index file. */
export function indexName(segment: string): string {
  return segment.replace(/\.wal$/, '.idx')
}

const INDEX_PATTERN = /^\d{16}-\d{16}\.idx$/

/** What the names in a log's directory are. */
export interface Catalog {
  segments: { name: string; id: number; firstIndex: number }[]
  hasManifest: boolean
  hasMark: boolean
  /** Our own unfinished files: removed at the next open for write. */
  temporary: string[]
  indexes: string[]
  /** Names of somebody else: left alone and reported. */
  foreign: string[]
}

export const MANIFEST_NAME = 'manifest'
export const MARK_NAME = 'mark'
export const LOCK_NAME = 'lock'
export const CONSUMERS_NAME = 'consumers'
export const NEXT_SEGMENT_NAME = 'next.tmp'
export const NEW_MANIFEST_NAME = 'manifest.tmp'
const NEW_MARK_NAME = 'mark.tmp'
const OWN_TEMPORARY = new Set([NEXT_SEGMENT_NAME, NEW_MANIFEST_NAME, NEW_MARK_NAME])
const OWN = new Set([MANIFEST_NAME, MARK_NAME, LOCK_NAME, CONSUMERS_NAME])

/** Sorts a directory's names by what they are. Names that only look like ours are foreign: nothing is matched by prefix. */
export function classifyNames(names: readonly string[]): Catalog {
  const catalog: Catalog = { segments: [], hasManifest: false, hasMark: false, temporary: [], indexes: [], foreign: [] }
  for (const name of names) {
    const segment = parseSegmentName(name)
    if (segment !== undefined) catalog.segments.push({ name, ...segment })
    else if (OWN_TEMPORARY.has(name)) catalog.temporary.push(name)
    else if (INDEX_PATTERN.test(name)) catalog.indexes.push(name)
    else if (!OWN.has(name)) catalog.foreign.push(name)
  }
  catalog.hasManifest = names.includes(MANIFEST_NAME)
  catalog.hasMark = names.includes(MARK_NAME)
  catalog.segments.sort((a, b) => a.id - b.id)
  return catalog
}

function pad(n: number): string {
  return String(n).padStart(DIGITS, '0')
}
