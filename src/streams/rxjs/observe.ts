import { from, Observable, type ObservableInput, type Subscriber } from 'rxjs'
import { checkOptions, rules } from '../../check-options.js'
import type { Cursor, Entry, TailOptions, WalReader } from '../../types.js'
import { readableRules } from '../read-options.js'
import { Delivery, endWith } from './delivery.js'

export interface ObserveOptions<T> extends TailOptions<T> {
  /** False: completes at what is committed when it is subscribed. Default true. */
  live?: boolean
}

export interface ProjectOptions<T, R> extends ObserveOptions<T> {
  /** What becomes of an entry. The next one is read when there is a slot for it. */
  project: (entry: Entry<T>) => ObservableInput<R>
  /** How many entries may be projected at a time. Default 1: in order. */
  concurrency?: number
}

// The overload with `project` stands first: the other way round TypeScript does not know the type of its parameter.
/**
 * A log's entries as an Observable: from a position that is fixed at subscription, in batches of bounded size between which the
 * event loop has its turn, never inside `subscribe()`. Throws WAL_INVALID_OPTION; what else goes wrong goes to the subscriber.
 *
 * RxJS has no back-pressure: an operator that takes its time (`concatMap`, `mergeMap` with a limit) queues what it cannot handle,
 * without bound. Give such work as `project`: then the next entry is read from the log when there is a slot for it.
 */
export function observe<T, R>(wal: WalReader<T>, options: ProjectOptions<T, R>): Observable<R>
export function observe<T>(wal: WalReader<T>, options?: ObserveOptions<T>): Observable<Entry<T>>
export function observe<T, R>(
  wal: WalReader<T>,
  options: ObserveOptions<T> | ProjectOptions<T, R> = {},
): Observable<Entry<T> | R> {
  checkOptions('observe()', options, { ...readableRules, project: rules.function, concurrency: rules.count })
  const { live = true, project, concurrency = 1, ...reading } = options as Partial<ProjectOptions<T, R>>
  const open = (subscriber: Subscriber<unknown>) => {
    const cursor = live ? wal.tail(reading) : wal.replay(reading)
    subscriber.add(() => void cursor.return?.())
    return cursor
  }
  return new Observable(subscriber => {
    const work = project ? projectEntries(open, subscriber, project, concurrency) : emitEntries(open, subscriber)
    endWith(work, subscriber)
  })
}

type Open<T> = (subscriber: Subscriber<unknown>) => Cursor<T>

async function emitEntries<T>(open: Open<T>, subscriber: Subscriber<Entry<T>>): Promise<void> {
  const delivery = new Delivery(subscriber)
  for await (const chunk of open(subscriber).chunks()) {
    for (const entry of chunk) {
      if (subscriber.closed) return
      // Subscribers get entries of their own, as those who iterate do.
      const pause = delivery.emit(Object.isFrozen(entry) ? { ...entry } : entry)
      if (pause) await pause
    }
  }
}

async function projectEntries<T, R>(
  open: Open<T>,
  subscriber: Subscriber<R>,
  project: (entry: Entry<T>) => ObservableInput<R>,
  concurrency: number,
): Promise<void> {
  const cursor = open(subscriber)
  const delivery = new Delivery(subscriber)
  const work = new Work()
  for (;;) {
    await work.atMost(concurrency - 1)
    const { value: entry, done } = await cursor.next()
    if (done || subscriber.closed) break
    work.begin()
    const projected = from(project(entry)).subscribe({
      next: value => subscriber.next(value),
      error: error => subscriber.error(error),
      complete: () => work.end(),
    })
    subscriber.add(projected)
    await delivery.pause()
  }
  await work.atMost(0)
}

/** Counts what is under way. */
class Work {
  #count = 0
  #wake: () => void = () => undefined

  begin(): void {
    this.#count++
  }

  end(): void {
    this.#count--
    this.#wake()
  }

  async atMost(count: number): Promise<void> {
    while (this.#count > count) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }
}
