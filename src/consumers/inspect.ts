import type { FileSystem } from '../file-system/types.js'
import type { ConsumerInfo, SegmentInfo } from '../types.js'
import { readCheckpoint } from './checkpoint-file.js'
import { listConsumers } from './consumers.js'

/** How far the consumers of a log have come that is not open here. Whether somebody reads under a name cannot be seen from outside. */
export async function inspectConsumers(
  fs: FileSystem,
  directory: string,
  log: { firstIndex: number; lastIndex: number; segments: readonly SegmentInfo[] },
): Promise<ConsumerInfo[]> {
  const names = await listConsumers(fs, directory)
  return names.sort().map(name => {
    const found = readCheckpoint(fs, `${directory}/${name}`)
    const checkpointIndex = found.kind === 'ok' ? found.position.index : 0
    const processed = Math.max(checkpointIndex, log.firstIndex - 1)
    const heldBytes = log.segments.reduce((sum, { lastIndex, bytes }) => sum + (lastIndex > processed ? bytes : 0), 0)
    return { name, checkpointIndex, lagEntries: Math.max(0, log.lastIndex - processed), heldBytes, active: false }
  })
}
