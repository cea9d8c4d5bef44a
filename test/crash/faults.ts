import type { SimulatedFault } from '../../src/file-system/simulation/faults.js'
import type { SimulatedOperation } from '../../src/file-system/simulation/operation.js'

/** A way in which a call fails. */
export interface FaultKind {
  name: string
  fault: SimulatedFault
}

const kinds =
  (...wanted: SimulatedOperation['kind'][]) =>
  ({ kind }: SimulatedOperation) =>
    wanted.includes(kind)

const changes = kinds('create', 'rename', 'unlink', 'write', 'sync', 'syncDirectory', 'truncate')
const directorySync = kinds('syncDirectory')

const ONCE: readonly FaultKind[] = [
  { name: 'EIO', fault: { error: 'EIO', filter: operation => !directorySync(operation) } },
  // A file system that could not write its journal takes no more names until it is mounted anew: none is lost in silence.
  { name: 'EIO-of-directory', fault: { error: 'EIO', harmless: true, filter: directorySync } },
  {
    name: 'EIO-but-done',
    fault: { error: 'EIO', applied: true, filter: operation => changes(operation) && operation.kind !== 'create' },
  },
  { name: 'ENOSPC', fault: { error: 'ENOSPC', filter: operation => changes(operation) && !directorySync(operation) } },
  { name: 'EDQUOT', fault: { error: -122, filter: kinds('create', 'write') } },
  { name: 'EFBIG', fault: { error: 'EFBIG', filter: kinds('write') } },
  { name: 'EMFILE', fault: { error: 'EMFILE', filter: kinds('open', 'create', 'list') } },
  { name: 'short-write', fault: { shortWrite: 512, filter: kinds('write') } },
  { name: 'no-write', fault: { shortWrite: 0, filter: kinds('write') } },
  { name: 'short-read', fault: { shortRead: 7, filter: kinds('read') } },
]

/** Each once, and from then on for ever. */
export const FAULTS: readonly FaultKind[] = ONCE.flatMap(({ name, fault }) => [
  { name, fault },
  { name: `${name}-sticky`, fault: { ...fault, sticky: true } },
])
