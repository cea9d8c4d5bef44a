/**
 * Waiting with an AbortSignal. A service tends to have one signal and thousands of calls that carry it, so each distinct signal
 * gets one listener however many calls share it, and none once the last of them is done.
 */
const waiting = new WeakMap<AbortSignal, Waiters>()

interface Waiters {
  readonly callbacks: Set<{ call: (reason: unknown) => void }>
  readonly listener: () => void
}

/**
 * Calls back once, with `signal.reason`, when `signal` aborts; returns a function that unsubscribes. A signal that has aborted
 * already never calls back: look at `signal.aborted` first.
 */
export function onAbort(signal: AbortSignal, callback: (reason: unknown) => void): () => void {
  const waiters = waiting.get(signal) ?? listen(signal)
  const entry = { call: callback }
  waiters.callbacks.add(entry)
  return () => {
    waiters.callbacks.delete(entry)
    if (waiters.callbacks.size === 0) forget(signal, waiters)
  }
}

/**
 * Settles as `promise` does, or rejects with what `errorOf` makes of the signal's reason (default: the reason itself) when the
 * signal aborts first; then nobody hears how `promise` ends.
 */
export function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  errorOf: (reason: unknown) => unknown = reason => reason,
): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const abort = (reason: unknown) => reject(errorOf(reason))
    const unsubscribe = signal.aborted ? abort(signal.reason) : onAbort(signal, abort)
    promise.then(resolve, reject).finally(() => unsubscribe?.())
  })
}

function listen(signal: AbortSignal): Waiters {
  const listener = () => {
    const { callbacks } = waiters
    forget(signal, waiters)
    for (const { call } of [...callbacks]) call(signal.reason)
  }
  const waiters: Waiters = { callbacks: new Set(), listener }
  waiting.set(signal, waiters)
  signal.addEventListener('abort', listener, { once: true })
  return waiters
}

function forget(signal: AbortSignal, waiters: Waiters): void {
  signal.removeEventListener('abort', waiters.listener)
  if (waiting.get(signal) === waiters) waiting.delete(signal)
}
