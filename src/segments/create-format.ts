import { BinaryFormat } from '../codec/binary.js'
import type { Format, FormatName } from '../codec/format.js'

/** The layout of one log's segments. */
export function createFormat(_name: FormatName, logId: string): Format {
  return new BinaryFormat(logId)
}
