import { spawnSync } from 'node:child_process'
import { close, closeSync, constants, fstatSync, ftruncate, ftruncateSync, openSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { WalError } from '../errors.js'

/**
 * The one writer's lock is always the kernel's: it ends with the process, however that ends, so nothing is ever decided by a pid
 * or a time. One mechanism per platform, never two, because two kinds of lock do not see each other.
 *
 * Linux: flock(2) belongs to the open file, not to the process, so a child that inherits the descriptor can take it and be gone.
 * macOS, BSD: open(2) takes the same lock. Windows: the file is opened with no sharing.
 */
type Outcome = { kind: 'held'; fd: number } | { kind: 'refused' }

const closeFd = promisify(close)
const truncateFd = promisify(ftruncate)

/** Of the BSD family and macOS; Node has no names for them. */
const BSD_O_NONBLOCK = 0x4
const BSD_O_EXLOCK = 0x20
/** libuv's UV_FS_O_EXLOCK on Windows: share mode 0. */
const WINDOWS_O_EXLOCK = 0x10000000

/** What the children below answer. */
const EXIT_HELD = 0
const EXIT_REFUSED = 1

/** 6 is LOCK_EX | LOCK_NB; 11 is EAGAIN. */
const PERL_FLOCK = `open(my $f, '+<&=', 3) or exit 2; exit(flock($f, 6) ? ${EXIT_HELD} : $! == 11 ? ${EXIT_REFUSED} : 2)`

const FLOCK_COMMANDS: readonly (readonly [string, ...string[]])[] = [
  ['flock', '-xn', '3'],
  ['perl', '-e', PERL_FLOCK],
]

/** What a child that neither takes nor refuses the lock gets before it counts as broken: a request that does not wait. */
const CHILD_TIMEOUT_MS = 10_000

/**
 * Takes the lock and writes `owner` into the file; undefined when somebody else has it. Throws WAL_IO where no kernel lock can be had.
 * By blocking calls: an opening has nothing to do meanwhile, and starting a process blocks for most of the time that it takes anyway.
 */
export async function kernelLock(path: string, owner: string): Promise<{ release(): Promise<void> } | undefined> {
  const outcome = takeLock(path)
  if (outcome.kind === 'refused') return undefined
  const { fd } = outcome
  try {
    ftruncateSync(fd, 0)
    writeSync(fd, owner, 0)
  } catch (error) {
    closeSync(fd)
    throw error
  }
  let released: Promise<void> | undefined
  return { release: () => (released ??= release(fd)) }
}

/** An empty file says that nobody holds it; closing the descriptor is what frees the lock. */
async function release(fd: number): Promise<void> {
  try {
    await truncateFd(fd, 0)
  } finally {
    await closeFd(fd)
  }
}

function takeLock(path: string): Outcome {
  const flags = constants.O_RDWR | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0)
  switch (process.platform) {
    case 'linux':
    case 'android':
      return lockByChild(path, flags)
    case 'darwin':
    case 'freebsd':
    case 'openbsd':
    case 'netbsd':
      return lockByOpening(path, flags | BSD_O_EXLOCK | BSD_O_NONBLOCK, ['EAGAIN', 'EWOULDBLOCK'])
    case 'win32':
      return lockByOpening(path, flags | WINDOWS_O_EXLOCK, ['EBUSY'])
    default:
      throw noLock(path, `there is none for ${process.platform}`)
  }
}

function lockByOpening(path: string, flags: number, refusals: readonly string[]): Outcome {
  try {
    return { kind: 'held', fd: openSync(path, flags, 0o600) }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code !== undefined && refusals.includes(code)) return { kind: 'refused' }
    if (code === 'ENOTSUP' || code === 'EOPNOTSUPP') throw noLock(path, 'its file system has no locks', error)
    throw error
  }
}

function lockByChild(path: string, flags: number): Outcome {
  const fd = openSync(path, flags | constants.O_NONBLOCK, 0o600)
  try {
    if (!fstatSync(fd).isFile()) throw noLock(path, 'it is not a regular file')
    const exit = flockInChild(path, fd)
    if (exit === EXIT_HELD) return { kind: 'held', fd }
    if (exit !== EXIT_REFUSED) throw noLock(path, `flock ended with ${exit}`)
  } catch (error) {
    closeSync(fd)
    throw error
  }
  closeSync(fd)
  return { kind: 'refused' }
}

/** Asks the first command there is; only one that does not exist makes way for the next. Exit code, or the name of the signal that ended it. */
function flockInChild(path: string, fd: number): number | string {
  let missing: unknown
  for (const [command, ...args] of FLOCK_COMMANDS) {
    // The descriptor becomes the child's number 3.
    const child = spawnSync(command, args, { stdio: ['ignore', 'ignore', 'ignore', fd], timeout: CHILD_TIMEOUT_MS })
    if (child.error === undefined) return child.status ?? child.signal ?? 'no exit code'
    if ((child.error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw noLock(path, `${command} cannot be run`, child.error)
    missing = child.error
  }
  throw noLock(path, 'neither flock (util-linux, busybox) nor perl is in the PATH', missing)
}

function noLock(path: string, reason: string, cause?: unknown): WalError {
  const message = `Cannot take the kernel's lock on '${path}': ${reason}. Pass the option 'lock' to bring a lock of your own.`
  return new WalError('WAL_IO', message, { cause })
}
