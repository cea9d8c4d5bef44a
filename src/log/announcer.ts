import { type Channel, channel } from 'node:diagnostics_channel'
import type { EventEmitter } from 'node:events'
import { emitApart } from '../emit.js'
import type { WalEvents } from '../types.js'

/**
 * Every channel asked for, held for good: Node.js keeps unused ones weakly, and when one of them is collected late, a newer one of the
 * same name loses its subscribers with it (seen with 20.20).
 */
const channels = new Map<string, Channel>()

function channelOf(name: string): Channel {
  let found = channels.get(name)
  if (found === undefined) {
    found = channel(`walrus:${name}`)
    channels.set(name, found)
  }
  return found
}

/**
 * Tells the world what happened: the log's events and the diagnostics channels of the same names. Listeners run in a later turn,
 * after the promises of what they are told about have settled, each on its own: what one throws is an uncaught exception of the
 * program, and neither the log nor another listener sees it.
 */
export class Announcer {
  readonly #events: EventEmitter<WalEvents>
  readonly #directory: string

  constructor(events: EventEmitter<WalEvents>, directory: string) {
    this.#events = events
    this.#directory = directory
  }

  announce<K extends keyof WalEvents>(name: K, ...payload: WalEvents[K]): void {
    const listening = this.#events.listenerCount(name) > 0
    const diagnostics = channelOf(name)
    if (!listening && !diagnostics.hasSubscribers) return
    process.nextTick(() => {
      emitApart(this.#events, name, payload)
      this.#publish(name, payload[0])
    })
  }

  /** A channel without an event: `sync`, `recovery`. */
  publish(name: string, payload: object): void {
    this.#publish(name, payload)
  }

  #publish(name: string, payload: object | undefined): void {
    const diagnostics = channelOf(name)
    if (diagnostics.hasSubscribers) diagnostics.publish({ ...payload, directory: this.#directory })
  }
}
