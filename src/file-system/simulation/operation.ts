/** What a call on the file system is. `create` is `open` with mode 'create'; `sync` is a file's, `syncDirectory` a directory's. */
export type SimulatedOperationKind =
  | 'open'
  | 'create'
  | 'list'
  | 'stat'
  | 'createDirectory'
  | 'rename'
  | 'unlink'
  | 'link'
  | 'syncDirectory'
  | 'lock'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'size'

/** One call, as hooks and fault filters see it. */
export interface SimulatedOperation {
  readonly kind: SimulatedOperationKind
  readonly path: string
  /** Counts the calls that change or sync something, from 1; 0 for all others. */
  readonly number: number
  /** Of rename and link: the new name. */
  readonly to?: string
  readonly position?: number
  readonly length?: number
  readonly direct?: boolean
}

const LOOKING: ReadonlySet<SimulatedOperationKind> = new Set(['open', 'list', 'stat', 'read', 'size'])

/** Whether a call changes or syncs something, and so is a point where a crash makes a difference. */
export function changes(kind: SimulatedOperationKind): boolean {
  return !LOOKING.has(kind)
}
