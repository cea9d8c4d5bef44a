import { BinaryFormat } from '../codec/binary.js'
import type { Format, FormatName } from '../codec/format.js'
import { NdjsonFormat } from '../codec/ndjson.js'

/** The layout of one log's segments. */
export function createFormat(name: FormatName, logId: string): Format {
  return name === 'ndjson' ? new NdjsonFormat(logId) : new BinaryFormat(logId)
}
