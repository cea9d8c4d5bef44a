import { BLOCK_BYTES } from '../block.js'
import type { Done } from '../calls.js'
import { Ring } from './ring.js'

/** A call as it is sent. Of `read` and `write` the arguments are descriptor, place in the shared memory, length and position in the file. */
export interface Request {
  name: string
  args: readonly (string | number)[]
}

/** What came of it: what Node's call gave, or what its error says. */
export interface Reply {
  value?: unknown
  error?: { message: string }
}

/** Whoever makes the calls: one after the other, in the order they are sent; the replies come in that order too. */
export interface Thread {
  /** Memory that both sides see; begins at a page. */
  readonly memory: Buffer
  send(request: Request): void
  /** Whether the process is to live on until the next reply. */
  keepAlive(yes: boolean): void
}

interface Handed {
  done: Done<never>
  /** Where its bytes are, for those that have some. */
  at: number | undefined
  /** Where bytes that are read go to. */
  into: Uint8Array | undefined
}

/**
 * Hands calls over to a thread, in order, and settles them as the replies come. Bytes travel through memory that both sides see: those
 * to be written are copied at their turn, so what lies in a buffer that the caller may not change yet is what is stored; no view of that
 * memory ever gets out.
 */
export class HandOver {
  readonly #thread: Thread
  readonly #ring: Ring
  /** So that two fit in; whole blocks, as direct I/O wants them. */
  readonly #mostBytes: number
  readonly #underWay: Handed[] = []
  /** Calls that wait because one of them finds no room in the memory. */
  readonly #held: (() => boolean)[] = []
  #ended: { cause: unknown } | undefined

  constructor(thread: Thread) {
    this.#thread = thread
    this.#ring = new Ring(thread.memory.length)
    this.#mostBytes = Math.floor(thread.memory.length / 2 / BLOCK_BYTES) * BLOCK_BYTES
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined
  }

  call<T>(name: string, args: Request['args'], done: Done<T>): void {
    this.#inTurn(done, () => {
      this.#send({ name, args }, { done, at: undefined, into: undefined })
      return true
    })
  }

  /** Writes buffers, each behind the one before; may write less than is asked. */
  write(fd: number, buffers: readonly Uint8Array[], position: number, done: Done<number>): void {
    const bytes = buffers.reduce((sum, buffer) => sum + buffer.length, 0)
    const length = Math.min(bytes, this.#mostBytes)
    this.#inTurn(done, () => {
      const at = this.#ring.take(length)
      if (at === undefined) return false
      this.#copy(buffers, at, length)
      this.#send({ name: 'write', args: [fd, at, length, position] }, { done, at, into: undefined })
      return true
    })
  }

  /** May read less than is asked. */
  read(fd: number, into: Uint8Array, position: number, done: Done<number>): void {
    const length = Math.min(into.length, this.#mostBytes)
    this.#inTurn(done, () => {
      const at = this.#ring.take(length)
      if (at === undefined) return false
      this.#send({ name: 'read', args: [fd, at, length, position] }, { done, at, into })
      return true
    })
  }

  /** The reply to the oldest call under way. */
  settle({ value, error }: Reply): void {
    const { done, at, into } = this.#underWay.shift()!
    if (at !== undefined) {
      if (into !== undefined && error === undefined)
        into.set(this.#thread.memory.subarray(at, at + (value as number)), 0)
      this.#ring.give()
    }
    while (this.#held[0]?.()) this.#held.shift()
    if (this.#underWay.length === 0) this.#thread.keepAlive(false)
    if (error === undefined) done(null, value as never)
    else done(Object.assign(new Error(error.message), error))
  }

  /** The thread is gone: what it was given, and what comes later, fails. `cause`: what it died of, if that is known. */
  end(cause: unknown): void {
    this.#ended = { cause }
    const held = this.#held.splice(0)
    for (const { done } of this.#underWay.splice(0)) this.#fail(done)
    for (const start of held) start()
  }

  #inTurn<T>(done: Done<T>, start: () => boolean): void {
    const attempt = () => {
      if (!this.hasEnded) return start()
      this.#fail(done)
      return true
    }
    if (this.hasEnded) setImmediate(attempt)
    else if (this.#held.length > 0 || !attempt()) this.#held.push(attempt)
  }

  #fail(done: Done<never>): void {
    done(new Error('The writer thread has ended', this.#ended))
  }

  #copy(buffers: readonly Uint8Array[], at: number, length: number): void {
    let done = 0
    for (const buffer of buffers) {
      const part = done + buffer.length > length ? buffer.subarray(0, length - done) : buffer
      this.#thread.memory.set(part, at + done)
      done += part.length
    }
  }

  #send(request: Request, handed: Handed): void {
    if (this.#underWay.push(handed) === 1) this.#thread.keepAlive(true)
    this.#thread.send(request)
  }
}
