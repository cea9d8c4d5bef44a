import { onAbort } from '../abort.js'
import type { Clock } from '../clock.js'
import { WalError } from '../errors.js'
import type { ConsumerState, Start } from './state.js'

export interface ProcessedWait {
  state: ConsumerState<unknown>
  start: Start
  clock: Clock
  index: number
  timeoutMs?: number
  signal?: AbortSignal
  /** Calls back when the consumer is closed; returns a function that unsubscribes. */
  onClose: (listener: () => void) => () => void
}

/**
 * Resolves once the entry is processed. Rejects with WAL_TIMEOUT, the signal's reason, WAL_TRUNCATED when the consumer cannot go on
 * before a `seek`, WAL_CLOSED, and with the log's failure.
 */
export async function untilProcessed({ state, start, clock, index, timeoutMs, signal, onClose }: ProcessedWait) {
  signal?.throwIfAborted()
  const isProcessed = () => state.problem === undefined && state.processedIndex(start) >= index
  if (state.problem !== undefined) throw state.problem
  if (isProcessed()) return
  const undo: (() => void)[] = []
  try {
    await new Promise<void>((resolve, reject) => {
      undo.push(state.onNoted(() => isProcessed() && resolve()))
      undo.push(onClose(() => reject(closed(state.name))))
      undo.push(state.log.onEnd(error => reject(error ?? closed(state.name))))
      if (signal) undo.push(onAbort(signal, reject))
      if (timeoutMs !== undefined) undo.push(clock.setTimer(() => reject(timeout(state, index, timeoutMs)), timeoutMs))
    })
  } finally {
    for (const each of undo) each()
  }
}

function closed(name: string): WalError {
  return new WalError('WAL_CLOSED', `Consumer '${name}' was closed before it had come that far.`)
}

function timeout({ name, checkpoint }: ConsumerState<unknown>, index: number, timeoutMs: number): WalError {
  const at = checkpoint.noted?.index ?? 0
  const message = `Consumer '${name}' has not processed entry ${index} within ${timeoutMs} ms; it is at ${at}.`
  return new WalError('WAL_TIMEOUT', message, { index })
}
