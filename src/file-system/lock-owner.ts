import { hostname } from 'node:os'
import { readFully } from './transfer.js'
import type { File, FileSystem } from './types.js'

/** Who holds a log: for the text of an error, never to decide whether a lock is still good. */
export interface LockOwner {
  pid: number
  host: string
  /** Milliseconds since the Unix epoch. */
  startedAt: number
}

const MAX_TEXT_BYTES = 1024
const ATTEMPTS = 5
const PAUSE_MS = 10

/** The text that `FileSystem.lock` writes into the lock's file. */
export function lockOwnerText(owner: LockOwner): string {
  return `${JSON.stringify(owner)}\n`
}

/**
 * The text a holder left in the lock's file; undefined where it cannot be read (Windows keeps others from reading a locked file). A
 * holder writes it just after it got the lock, so an unfinished text is looked at again for some tens of milliseconds.
 */
export async function readLockOwner(fs: FileSystem, path: string): Promise<LockOwner | undefined> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const owner = parse(await readText(fs, path))
    if (owner) return owner
    await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
  }
  return undefined
}

/**
 * Who seems to hold the lock at `path`, for tools that take no lock: the text names a process that is alive, or one of another host,
 * of which nobody here can tell. A process that was killed leaves its text behind and does not count.
 */
export async function livingHolder(fs: FileSystem, path: string): Promise<LockOwner | undefined> {
  const stat = await fs.stat(path)
  if (stat?.kind !== 'file' || stat.size === 0) return undefined
  const owner = await readLockOwner(fs, path)
  return owner !== undefined && (owner.host !== hostname() || isAlive(owner.pid)) ? owner : undefined
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    // A process of another user is alive all the same.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function readText(fs: FileSystem, path: string): Promise<string> {
  let file: File | undefined
  try {
    file = await fs.open(path, 'read')
    const bytes = Buffer.alloc(MAX_TEXT_BYTES)
    return bytes.toString('utf8', 0, await readFully(file, bytes, bytes.length, 0))
  } catch {
    // Without the name the error it is wanted for is less helpful, and no less true.
    return ''
  } finally {
    await file?.close()
  }
}

function parse(text: string): LockOwner | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { pid, host, startedAt } = value as Partial<LockOwner>
  if (typeof pid !== 'number' || typeof host !== 'string' || typeof startedAt !== 'number') return undefined
  return { pid, host, startedAt }
}
