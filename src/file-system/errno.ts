/** The negative errno of a file system error; 0 for anything else. Names are not enough: Node has none for EDQUOT. */
export function errnoOf(error: unknown): number {
  const errno = (error as { errno?: unknown } | null)?.errno
  return typeof errno === 'number' ? errno : 0
}

const EMFILE = -24
const ENFILE = -23
const EFBIG = -27
const ENOSPC = -28
/** EDQUOT on Linux, on macOS. */
const EDQUOT: ReadonlySet<number> = new Set([-122, -69])

/** A write found no space: disk full, quota reached, file size limit. */
export function isNoSpace(error: unknown): boolean {
  const errno = errnoOf(error)
  return errno === ENOSPC || errno === EFBIG || EDQUOT.has(errno)
}

/** The file may grow no further, though there may be space for another. */
export function isFileTooBig(error: unknown): boolean {
  return errnoOf(error) === EFBIG
}

/** The process or the system is out of file descriptors. */
export function isOutOfDescriptors(error: unknown): boolean {
  const errno = errnoOf(error)
  return errno === EMFILE || errno === ENFILE
}

/** Nothing is there under that name. */
export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'ENOENT'
}
