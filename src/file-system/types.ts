/**
 * The boundary to the operating system: everything the log knows of files goes through these two interfaces, so that a
 * simulated file system can cut the power at any call. Errors are Node's own: `errno` (negative) and `code` are set; nothing
 * here retries, classifies or hides one.
 */
export interface FileSystem {
  /**
   * Opens a regular file, never following a symbolic link in the last place (ELOOP) and never anything but a regular file.
   * 'read': read only. 'write': existing file, read and write. 'create': must not exist (EEXIST), mode 0600, read and write.
   * `direct`: bypass the page cache for writes and make each write durable (O_DIRECT | O_DSYNC); EINVAL where it cannot be had.
   */
  open(path: string, mode: OpenMode, options?: { direct?: boolean }): Promise<File>
  /** As `open(path, 'read')`, blocking: for `getSync`. */
  openSync(path: string): File
  /** Names in a directory, in no order. ENOENT, ENOTDIR. */
  list(directory: string): Promise<string[]>
  /** Kind and size without following links; undefined when nothing is there. */
  stat(path: string): Promise<{ kind: 'file' | 'directory' | 'other'; size: number } | undefined>
  /** Creates one directory, mode 0700; EEXIST when there is one. */
  createDirectory(path: string): Promise<void>
  /** Removes one empty directory (else ENOTEMPTY). Without it unfinished backups leave an empty one behind. */
  removeDirectory?(path: string): Promise<void>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Hard link. */
  link(existing: string, path: string): Promise<void>
  /** Makes the names in a directory durable (creations, renames, unlinks). */
  syncDirectory(directory: string): Promise<void>
  /**
   * Calls back when the contents of the file at `path` may have changed, without keeping the process alive; `replaced` when the
   * name no longer leads to that file and wants to be watched anew. Returns a function that ends it. Throws where that cannot be
   * had, for whatever reason; it may also miss changes, so nobody may rely on it alone.
   */
  watch?(path: string, onChange: (replaced: boolean) => void): () => void
  /**
   * Takes the one writer's lock on `path` (created when missing) and writes `owner` into the file. Resolves undefined when
   * another holder has it. The lock ends with the process, whatever ends the process.
   */
  lock(path: string, owner: string): Promise<{ release(): Promise<void> } | undefined>
  /**
   * This file system with a thread that is there for writers alone: what is opened, written, synced, renamed and removed through `fs`
   * waits for other writers only, and takes effect in the order of the calls. `syncsAside`: syncs of files have another thread, so that
   * writes go on meanwhile. `leave` is called once everything opened through it is closed. Rejects with WAL_IO where there can be no
   * thread.
   */
  writerThread?(options: { syncsAside: boolean }): Promise<{ fs: FileSystem; leave(): Promise<void> }>
}

export type OpenMode = 'read' | 'write' | 'create'

/** An open regular file. `close` waits for the calls under way; afterwards every call rejects with EBADF, never reaching a reused descriptor. */
export interface File {
  readonly path: string
  /** Its size in bytes as it was opened, where opening it learned that; a file that is being written is larger by now. */
  readonly sizeAtOpening?: number
  /** Reads up to `length` bytes into `buffer` at `offset`; may be short, 0 means end of file. */
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number>
  readSync(buffer: Uint8Array, offset: number, length: number, position: number): number
  /** Writes up to `length` bytes; may be short. The buffer must not change until it settles. */
  write(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number>
  /**
   * As `write`, of several buffers, each of which lies behind the one before. A file system without it gets them one by one.
   */
  writev?(buffers: readonly Uint8Array[], position: number): Promise<number>
  /** fdatasync: contents and size. */
  sync(): Promise<void>
  truncate(length: number): Promise<void>
  size(): Promise<number>
  sizeSync(): number
  close(): Promise<void>
  /** As `close`, at once; where calls are under way it waits for them all the same, and what goes wrong then is not told. */
  closeSync(): void
}
