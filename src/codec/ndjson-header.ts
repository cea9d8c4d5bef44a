import { crc32 } from './crc32.js'
import type { HeaderOutcome, SegmentHeader } from './format.js'
import { hasSafeNumbers } from './segment-header.js'

/** No header line is longer: its texts are bounded, and its numbers are. */
export const NDJSON_HEADER_MAX_BYTES = 4096
const VERSION = 1
const KIND = 'walrus-segment'
/** Digits of the largest safe integer: these two numbers are only known when the content is written, and must not change the length. */
const NUMBER_WIDTH = 16

/*
 * Line 1 of an ndjson segment: one JSON object. `kind`, `version`, `compatible` and `incompatible` come first in every version; `crc` is
 * last and covers the line's bytes in front of `,"crc":`.
 */
export function encodeNdjsonHeader(header: SegmentHeader): Buffer {
  const { publishedEnd, publishedLastIndex, ...rest } = header
  const fixed = { kind: KIND, version: VERSION, compatible: 0, incompatible: 0, ...finite(rest) }
  const published = `,"publishedEnd":${wide(publishedEnd)},"publishedLastIndex":${wide(publishedLastIndex)}`
  const body = `${JSON.stringify(fixed).slice(0, -1)}${published}`
  const bytes = Buffer.from(body, 'utf8')
  return Buffer.concat([bytes, Buffer.from(`,"crc":${String(crc32(bytes, 0, bytes.length)).padEnd(10)}}\n`)])
}

/** JSON has no infinities: an empty predecessor's time range is null. */
function finite(header: Omit<SegmentHeader, 'publishedEnd' | 'publishedLastIndex'>): object {
  const { predecessor } = header
  if (predecessor === undefined || predecessor.minTimestamp <= predecessor.maxTimestamp) return header
  return { ...header, predecessor: { ...predecessor, minTimestamp: null, maxTimestamp: null } }
}

function wide(n: number): string {
  return String(n).padEnd(NUMBER_WIDTH)
}

const TRAILER = /,"crc":(\d{1,10}) *\}$/

export function decodeNdjsonHeader(bytes: Buffer): HeaderOutcome {
  const end = bytes.indexOf(10)
  if (end < 0) return { kind: 'corrupt' }
  const line = bytes.subarray(0, end)
  const trailer = TRAILER.exec(line.toString('latin1'))
  if (trailer === null || crc32(line, 0, trailer.index) !== Number(trailer[1])) return { kind: 'corrupt' }
  const parsed = parse(line)
  if (parsed === undefined || parsed.kind !== KIND) return { kind: 'corrupt' }
  if (parsed.version > VERSION || parsed.incompatible !== 0) return { kind: 'unsupported', version: parsed.version }
  if (!hasFields(parsed)) return { kind: 'corrupt' }
  return { kind: 'ok', header: headerOf(parsed), contentStart: end + 1 }
}

type Parsed = SegmentHeader & { kind: string; version: number; incompatible: number }

function parse(line: Buffer): Parsed | undefined {
  try {
    return JSON.parse(line.toString('utf8')) as Parsed
  } catch {
    return undefined // Not JSON: not a header.
  }
}

/** Whether the fields are there, of the types and within the bounds that all who use them count on. */
function hasFields({ logId, salt, encoding, epoch, format, begins, ...rest }: Parsed): boolean {
  const texts = [logId, salt, encoding, epoch?.id]
  const limits = [rest.maxEntryBytes, rest.maxBatchBytes]
  if (!texts.every(value => typeof value === 'string') || format !== 'ndjson' || typeof begins !== 'boolean')
    return false
  return limits.every(Number.isSafeInteger) && hasSafeNumbers({ ...rest, logId, salt, encoding, epoch, format, begins })
}

function headerOf(parsed: Parsed): SegmentHeader {
  const { logId, id, firstIndex, epoch, format, encoding, maxEntryBytes, maxBatchBytes, salt, createdAt, begins } =
    parsed
  const { predecessor, publishedEnd, publishedLastIndex, gap } = parsed
  const times = {
    minTimestamp: predecessor?.minTimestamp ?? Infinity,
    maxTimestamp: predecessor?.maxTimestamp ?? -Infinity,
  }
  return {
    ...{ logId, id, firstIndex, epoch, format, encoding, maxEntryBytes, maxBatchBytes, salt, createdAt, begins, gap },
    publishedEnd,
    publishedLastIndex,
    predecessor: predecessor === undefined ? undefined : { ...predecessor, ...times },
  }
}
