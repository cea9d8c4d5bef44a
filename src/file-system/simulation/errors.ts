/** Linux's numbers; a name that Node 20 does not know itself is given the way Node gives it. */
const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EEXIST: 17,
  EXDEV: 18,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  EFBIG: 27,
  ENOSPC: 28,
  EROFS: 30,
  EMLINK: 31,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOTEMPTY: 39,
  ELOOP: 40,
  ENOTSUP: 95,
} as const

export type ErrnoName = keyof typeof ERRNO

/** An error as Node gives it: `errno` negative, `code`, `syscall`, `path`. */
export function errnoError(failure: ErrnoName | number, syscall: string, path: string): NodeJS.ErrnoException {
  const errno = typeof failure === 'number' ? failure : -ERRNO[failure]
  const code = nameOf(errno)
  return Object.assign(new Error(`${code}: ${syscall} '${path}' (simulated)`), { errno, code, syscall, path })
}

function nameOf(errno: number): string {
  for (const [name, value] of Object.entries(ERRNO)) if (value === -errno) return name
  return `Unknown system error ${errno}`
}

/** What every call on a simulated file system that lost its power, or whose process was killed, rejects with. */
export function crashedError(path: string): Error {
  return Object.assign(new Error(`SIM_CRASHED: the power is off, '${path}'`), { code: 'SIM_CRASHED', path })
}

/** A call that no real file system would complain about and that would yet go wrong on one. */
export function misuseError(reason: string, path: string): Error {
  return Object.assign(new Error(`SIM_MISUSE: ${reason}, '${path}'`), { code: 'SIM_MISUSE', path })
}
