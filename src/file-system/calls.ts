/** What ends an asynchronous call: an error of Node's own, or what the call gives. */
export type Done<T> = (error: NodeJS.ErrnoException | null, value?: T) => void

/** What is asked of a file: its kind is in `mode`, as stat(2) has it. */
export interface Status {
  mode: number
  size: number
}

/** The calls of the operating system that an open file is made of, named, given and answered as in node:fs. */
export interface FileCalls {
  close(fd: number, done: Done<void>): void
  closeSync(fd: number): void
  fdatasync(fd: number, done: Done<void>): void
  fstat(fd: number, done: Done<Status>): void
  fstatSync(fd: number): Status
  ftruncate(fd: number, length: number, done: Done<void>): void
  read(fd: number, buffer: Uint8Array, offset: number, length: number, position: number, done: Done<number>): void
  readSync(fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number
  write(fd: number, buffer: Uint8Array, offset: number, length: number, position: number, done: Done<number>): void
  writev(fd: number, buffers: readonly Uint8Array[], position: number, done: Done<number>): void
}

/** Those, and what a writer needs to make files and to give them names. */
export interface Calls extends FileCalls {
  fsync(fd: number, done: Done<void>): void
  lstat(path: string, done: Done<Status>): void
  open(path: string, flags: number, mode: number, done: Done<number>): void
  rename(from: string, to: string, done: Done<void>): void
  unlink(path: string, done: Done<void>): void
}
