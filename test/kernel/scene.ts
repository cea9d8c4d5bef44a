import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openWal } from '../../src/index.js'
import type { WalOptions } from '../../src/types.js'

const writer = fileURLToPath(new URL('writer.mjs', import.meta.url))

/** What the writer tells, a line each. */
export interface Message {
  opened?: number
  io?: string
  acknowledged?: number
  paused?: Failure
  resumed?: boolean
  resume?: Failure
  closed?: boolean
  segments?: number
  failed?: Failure
}
export interface Failure {
  code: string
  cause?: string | number
  message: string
}

export interface WriterSettings {
  options?: WalOptions
  concurrency?: number
  entries?: number
  bytes?: number
  /** Leaves no file descriptor to the log once it is open. */
  hoard?: boolean
}

/** A writing process, and what it has told so far. */
export class Writer {
  readonly messages: Message[] = []
  readonly #child: ChildProcess
  readonly #exited: Promise<void>
  #rest = ''

  /** `wrapper`: a command in front of node, such as prlimit or strace with their options. */
  constructor(directory: string, settings: WriterSettings, wrapper: readonly string[] = []) {
    const [command, ...args] = [...wrapper, process.execPath, writer, directory, JSON.stringify(settings)]
    const env = { ...process.env, UV_THREADPOOL_SIZE: '1' }
    this.#child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'inherit'], env })
    this.#child.stdout!.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    this.#exited = new Promise(resolve => this.#child.on('close', () => resolve()))
  }

  get acknowledged(): number {
    return this.messages.reduce((highest, message) => Math.max(highest, message.acknowledged ?? 0), 0)
  }

  find<K extends keyof Message>(key: K): Message[K] | undefined {
    return this.messages.find(message => message[key] !== undefined)?.[key]
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds() && this.#child.exitCode === null && this.#child.signalCode === null) await pause(5)
    if (!holds()) throw new Error(`the writer ended too early: ${JSON.stringify(this.messages.slice(-3))}`)
  }

  /** Waits for its end; everything it told before has then been read. */
  ended(): Promise<void> {
    return this.#exited
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  #read(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop()!
    for (const line of lines) this.messages.push(JSON.parse(line) as Message)
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise(resolve => {
    setTimeout(resolve, ms)
  })
}

/**
 * Opens the log and holds it to what its writers were told: everything up to `acknowledged` is there, nothing is invented, nothing
 * twice or left out. Returns the last index.
 */
export async function check(directory: string, acknowledged: number, bytes = 200): Promise<number> {
  const wal = await openWal(directory)
  try {
    if (wal.lastIndex < acknowledged)
      throw new Error(`lost: the log ends at ${wal.lastIndex}, ${acknowledged} was acknowledged`)
    let next = 1
    for await (const entry of wal.replay()) {
      if (entry.index !== next) throw new Error(`entry ${entry.index} stands where ${next} should`)
      const expected = `${entry.index}:${'x'.repeat((entry.index * 7919) % bytes)}`
      if (entry.data.toString() !== expected) throw new Error(`entry ${entry.index} does not hold what was written`)
      next++
    }
    if (next !== wal.lastIndex + 1) throw new Error(`replay ended at ${next - 1}, the log ends at ${wal.lastIndex}`)
    return wal.lastIndex
  } finally {
    await wal.close()
  }
}

/** A file system of our own, mounted for the time of a scene. */
export class Mount {
  readonly path: string
  readonly #scratch: string
  readonly #mountArgs: readonly string[]

  private constructor(scratch: string, mountArgs: readonly string[]) {
    this.#scratch = scratch
    this.path = join(scratch, 'mnt')
    this.#mountArgs = mountArgs
    mkdirSync(this.path)
    this.mount()
  }

  /** An image on a loop device. */
  static image(kind: 'ext4' | 'xfs'): Mount {
    const scratch = mkdtempSync(join(tmpdir(), 'walrus-disk-'))
    const image = join(scratch, 'image')
    // The smallest that mkfs.xfs makes.
    run('truncate', '-s', '320M', image)
    run(`mkfs.${kind}`, '-q', kind === 'ext4' ? '-F' : '-f', image)
    return new Mount(scratch, ['-o', 'loop', image])
  }

  /** A memory file system of a given size, which fills up. */
  static memory(size: string): Mount {
    const scratch = mkdtempSync(join(tmpdir(), 'walrus-disk-'))
    return new Mount(scratch, ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs'])
  }

  mount(): void {
    run('mount', ...this.#mountArgs, this.path)
  }

  /**
   * Another process that runs in a copy of the mounts (as a test of the lock does) keeps a file system alive for a while; mounted
   * again meanwhile, it would be the one whose power was cut.
   */
  async unmount(): Promise<void> {
    run('umount', this.path)
    const image = join(this.#scratch, 'image')
    while (existsSync(image) && execFileSync('losetup', ['-j', image]).length > 0) await pause(20)
  }

  /** The power goes: everything that was not flushed to the disk is gone, the file system answers nothing more. */
  cutPower(): void {
    run('xfs_io', '-x', '-c', 'shutdown', this.path)
  }

  async remove(): Promise<void> {
    try {
      await this.unmount()
    } finally {
      rmSync(this.#scratch, { recursive: true, force: true })
    }
  }
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
}
