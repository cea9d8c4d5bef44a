import { Observable, type OperatorFunction, type Subscriber, type Subscription, takeWhile } from 'rxjs'
import { WalError } from '../../errors.js'
import type { Cursor, Entry, Wal, WalReader } from '../../types.js'
import { Delivery, endWith } from './delivery.js'

/**
 * Appends what the source emits, and emits the entries once they are committed, as they read back, in order. Completes when the
 * source has and all are out; an error of the source comes after the entries before it. Unsubscribing stops it; what was appended
 * stays. A source that emits faster than the log commits fills memory: pace it, or use `wal.transform()`.
 */
export function appendTo<T, In>(wal: Wal<T, In>): OperatorFunction<In, Entry<T>> {
  return source =>
    new Observable(subscriber => {
      const appending = new Appending(wal, source)
      const entries = new EntryFinder(wal)
      subscriber.add(() => {
        appending.stop()
        entries.close()
      })
      endWith(emitAppended(appending, entries, subscriber), subscriber)
    })
}

async function emitAppended<T, In>(
  appending: Appending<In>,
  entries: EntryFinder<T>,
  subscriber: Subscriber<Entry<T>>,
): Promise<void> {
  const delivery = new Delivery(subscriber)
  for (let batch = await appending.take(); batch; batch = await appending.take()) {
    for (const append of batch) {
      const index = await append
      if (subscriber.closed) return
      const entry = await entries.find(index)
      if (subscriber.closed) return
      const pause = delivery.emit(entry)
      if (pause) await pause
    }
  }
}

/** The source's data on their way into the log. */
class Appending<In> {
  readonly #wal: Wal<unknown, In>
  readonly #source: Subscription
  #appends: Promise<number>[] = []
  /** Set once nothing more is appended. */
  #end: { readonly error: unknown } | 'complete' | undefined
  #wake: () => void = () => undefined

  constructor(wal: Wal<unknown, In>, source: Observable<In>) {
    this.#wal = wal
    // takeWhile stops a synchronous source too, at the first data that the log refuses.
    this.#source = source.pipe(takeWhile(data => this.#append(data))).subscribe({
      error: error => this.#finish({ error }),
      complete: () => this.#finish('complete'),
    })
  }

  /** What was appended since the last call, at least one; undefined when the source has completed. Rejects with its error. */
  async take(): Promise<Promise<number>[] | undefined> {
    while (this.#appends.length === 0 && this.#end === undefined) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
    const appends = this.#appends
    this.#appends = []
    if (appends.length > 0) return appends
    if (typeof this.#end === 'object') throw this.#end.error
    return undefined
  }

  stop(): void {
    this.#source.unsubscribe()
    this.#finish('complete')
  }

  /** False when the log has refused it: what it accepts moves `lastIndex` within the call. */
  #append(data: In): boolean {
    const { lastIndex } = this.#wal
    const append = this.#wal.append(data)
    // Its failure is told in its turn, which may be later; until then it must not count as unhandled.
    append.catch(() => undefined)
    this.#appends.push(append)
    this.#wake()
    return this.#wal.lastIndex > lastIndex
  }

  #finish(end: { readonly error: unknown } | 'complete'): void {
    this.#end ??= end
    this.#wake()
  }
}

/** Finds committed entries by ascending index. */
class EntryFinder<T> {
  /** Where others have appended more than this meanwhile, a new cursor is cheaper than reading all of it. */
  static readonly #skip = 256
  readonly #wal: WalReader<T>
  #cursor: Cursor<T> | undefined

  constructor(wal: WalReader<T>) {
    this.#wal = wal
  }

  async find(index: number): Promise<Entry<T>> {
    const cursor = this.#cursorBefore(index)
    for (;;) {
      const { value: entry, done } = await cursor.next()
      if (done)
        throw new WalError('WAL_CLOSED', `entry ${index} is committed, but the log was closed before it was read`)
      if (entry.index === index) return entry
    }
  }

  close(): void {
    void this.#cursor?.return?.()
  }

  #cursorBefore(index: number): Cursor<T> {
    if (this.#cursor === undefined || index - this.#cursor.nextIndex > EntryFinder.#skip) {
      this.close()
      this.#cursor = this.#wal.tail(index)
    }
    return this.#cursor
  }
}
