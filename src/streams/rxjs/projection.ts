import { Observable } from 'rxjs'
import { onAbort } from '../../abort.js'
import type { Chunk, ConsumerOptions, RunOptions, WalReader } from '../../types.js'

/** How far a projection has come. */
export interface ProjectionProgress {
  /** Index of the last entry processed; 0 for none. */
  checkpointIndex: number
  /** Entries committed and not yet processed. */
  lagEntries: number
}

/** Options of the consumer and of its run. */
export interface ProjectionOptions<T> extends ConsumerOptions<T>, RunOptions<T> {}

/**
 * Runs a named consumer while it is subscribed to. Emits how far it has come whenever that is stored, at most once per
 * `checkpointIntervalMs`; completes when the log is closed, and errors as `WalConsumer.run` rejects. Unsubscribing lets the handler
 * in hand finish and stores its position.
 */
export function projection<T>(
  wal: WalReader<T>,
  name: string,
  handler: (entries: Chunk<T>, context: { signal: AbortSignal }) => unknown,
  options: ProjectionOptions<T> = {},
): Observable<ProjectionProgress> {
  const { signal, chunkMaxEntries, chunkMaxBytes, onError, retry, ...consuming } = options
  const running = withoutUndefined({ chunkMaxEntries, chunkMaxBytes, onError, retry })
  return new Observable(subscriber => {
    const consumer = wal.consumer(name, consuming)
    const stop = new AbortController()
    subscriber.add(() => stop.abort())
    if (signal?.aborted) stop.abort(signal.reason)
    else if (signal) subscriber.add(onAbort(signal, reason => stop.abort(reason)))
    let told = -1
    const tell = () => {
      const { checkpointIndex, lagEntries } = consumer
      told = checkpointIndex
      subscriber.next({ checkpointIndex, lagEntries })
    }
    consumer.on('checkpoint', tell)
    const run = async () => {
      try {
        await consumer.run(handler, { ...running, signal: stop.signal })
      } finally {
        await consumer.close()
      }
      if (consumer.checkpointIndex > Math.max(told, 0)) tell()
    }
    run().then(
      () => subscriber.complete(),
      error => subscriber.error(error),
    )
  })
}

function withoutUndefined<T extends object>(options: T): { [Key in keyof T]?: NonNullable<T[Key]> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never
}
