import { Worker } from 'node:worker_threads'
import { WalError } from '../../errors.js'
import { HandOver, type Reply, type Request, type Thread } from './hand-over.js'
import { serve } from './program.js'

/** What neither ES2023 nor the types of Node.js 20 declare. */
declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number; shared: true }) => { readonly buffer: SharedArrayBuffer }
}

/** Of 64 KiB each: room for two writes of the 4 MiB that a busy log gathers for one. What is not used takes no memory. */
const MEMORY_PAGES = 132
/** Node would close the files that a worker opened when it ends; they belong to their logs. No loader or hook of the process has business here. */
const WORKER_OPTIONS = { eval: true, name: 'walrus-wal writer', trackUnmanagedFds: false, execArgv: [], env: {} }
const PROGRAM = `(${serve})(require('node:worker_threads'), require('node:fs'))`

/** A thread that is there while somebody uses it. */
class SharedThread {
  #current: { running: Promise<WriterThread>; users: number } | undefined

  /**
   * Starts the thread, or joins those who use it already. Every user has to leave; the thread ends with the last. Rejects with WAL_IO
   * where it cannot be had.
   */
  async join(): Promise<{ handOver: HandOver; leave: () => Promise<void> }> {
    this.#current ??= { running: WriterThread.start(), users: 0 }
    const joined = this.#current
    joined.users++
    try {
      const thread = await joined.running
      void thread.ended.then(() => this.#forget(joined))
      return { handOver: thread.handOver, leave: () => this.#leave(joined) }
    } catch (cause) {
      this.#forget(joined)
      const reason = cause instanceof Error ? cause.message : String(cause)
      const message = `The writer thread cannot be started: ${reason}. Nothing was changed; leave the option writerThread out.`
      throw new WalError('WAL_IO', message, { cause })
    }
  }

  async #leave(joined: { running: Promise<WriterThread>; users: number }): Promise<void> {
    if (--joined.users > 0) return
    this.#forget(joined)
    await (await joined.running).stop()
  }

  /** Who comes next starts another. */
  #forget(joined: object): void {
    if (this.#current === joined) this.#current = undefined
  }
}

const writer = new SharedThread()
const syncer = new SharedThread()

/** Joins the writer thread of this process and, with `syncsAside`, the one beside it that syncs. */
export async function joinWriterThread({ syncsAside }: { syncsAside: boolean }): Promise<{
  writing: HandOver
  syncing: HandOver
  leave: () => Promise<void>
}> {
  const joined = await Promise.allSettled(syncsAside ? [writer.join(), syncer.join()] : [writer.join()])
  const threads = joined.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
  const leave = async () => {
    await Promise.all(threads.map(thread => thread.leave()))
  }
  const refused = joined.find(result => result.status === 'rejected')
  if (refused !== undefined) {
    await leave()
    throw refused.reason
  }
  return { writing: threads[0]!.handOver, syncing: threads.at(-1)!.handOver, leave }
}

class WriterThread implements Thread {
  readonly memory: Buffer
  readonly handOver: HandOver
  /** Resolves once the thread is gone, with what it died of if that is known. */
  readonly ended: Promise<unknown>
  readonly #worker: Worker

  private constructor(worker: Worker, memory: SharedArrayBuffer) {
    this.#worker = worker
    this.memory = Buffer.from(memory)
    this.handOver = new HandOver(this)
    let failure: unknown
    worker.on('error', error => (failure = error))
    this.ended = new Promise(resolve => {
      worker.once('exit', () => {
        this.handOver.end(failure)
        resolve(failure)
      })
    })
  }

  static async start(): Promise<WriterThread> {
    const size = { initial: MEMORY_PAGES, maximum: MEMORY_PAGES }
    const { buffer } = new WebAssembly.Memory({ ...size, shared: true })
    const worker = new Worker(PROGRAM, { ...WORKER_OPTIONS, workerData: buffer })
    const thread = new WriterThread(worker, buffer)
    const ready = new Promise(resolve => worker.once('message', resolve))
    const reason = await Promise.race([ready.then(() => undefined), thread.ended])
    if (thread.handOver.hasEnded) throw reason ?? new Error('it ended at once')
    worker.on('message', (reply: Reply) => thread.handOver.settle(reply))
    worker.unref()
    return thread
  }

  send(request: Request): void {
    this.#worker.postMessage(request)
  }

  keepAlive(yes: boolean): void {
    if (yes) this.#worker.ref()
    else this.#worker.unref()
  }

  async stop(): Promise<void> {
    await this.#worker.terminate()
  }
}
