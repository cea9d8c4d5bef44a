import { WalError } from '../errors.js'
import { isMissing, isNoSpace } from './errno.js'

/** Runs what touches the file system while nothing is at stake yet, and turns its errors into WAL_IO or WAL_NO_SPACE. */
export async function withIoErrors<T>(doing: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw ioError(doing, path, error)
  }
}

/** The WalError for a failed call while opening or reading; errors of our own pass unchanged. */
export function ioError(doing: string, path: string, error: unknown): unknown {
  if (error instanceof WalError || error instanceof TypeError || !(error instanceof Error)) return error
  if (isNoSpace(error)) {
    const message = `There was no space while ${doing} ${path}; nothing was changed. Free some and try again.`
    return new WalError('WAL_NO_SPACE', message, { cause: error })
  }
  const code = (error as NodeJS.ErrnoException).code
  const advice = ADVICE[code ?? ''] ?? (isMissing(error) ? 'Was it removed?' : 'See the cause.')
  return new WalError('WAL_IO', `${error.message} while ${doing} ${path}; nothing was changed. ${advice}`, {
    cause: error,
  })
}

const ADVICE: Record<string, string> = {
  EACCES: 'The process may not access it: check owner and mode.',
  EPERM: 'The process may not access it: check owner and mode.',
  EROFS: 'The file system is read-only: use followWal to read there, or mount it for writing.',
  ENOTDIR: 'A log is a directory: give the path of one, or of one to be created.',
  EMFILE: 'The process has too many files open: raise its limit (ulimit -n).',
  ENFILE: 'The system has too many files open.',
  ELOOP: 'It is a symbolic link: segments and the other files of a log never are.',
}
