import type { EventEmitter } from 'node:events'

/**
 * Calls the listeners of an event, each on its own: what one throws is an uncaught exception of the program in a later turn, and
 * neither the caller nor another listener sees it.
 */
export function emitApart(emitter: EventEmitter, name: string, payload: readonly unknown[]): void {
  for (const listener of emitter.rawListeners(name)) callApart(() => Reflect.apply(listener, emitter, payload))
}

function callApart(listener: () => unknown): void {
  try {
    listener()
  } catch (error) {
    setImmediate(() => {
      throw error
    })
  }
}
