import { resolve } from 'node:path'
import { checkOptions, rules } from '../check-options.js'
import type { Clock } from '../clock.js'
import type { ConsumableLog, LogHistory } from '../contract.js'
import { WalError } from '../errors.js'
import { isMissing } from '../file-system/errno.js'
import { withIoErrors } from '../file-system/io-error.js'
import type { FileSystem } from '../file-system/types.js'
import type { ConsumerInfo, ConsumerOptions, WalConsumer } from '../types.js'
import { Checkpoint } from './checkpoint.js'
import { Consumer } from './consumer.js'
import { ConsumerState } from './state.js'

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/

const consumerRules = {
  from: rules.from,
  directory: rules.path,
  checkpointIntervalMs: rules.duration,
  filter: rules.function,
}

export interface ConsumersParts<T> {
  log: ConsumableLog<T>
  history: LogHistory
  fs: FileSystem
  clock: Clock
  /** Where checkpoints are kept; undefined where each consumer has to name its own place, because this log is only read. */
  directory: string | undefined
  /** What `listConsumers` found there. */
  names: readonly string[]
}

/** The names of the consumers that have a checkpoint in a directory; none when there is no such directory. */
export async function listConsumers(fs: FileSystem, directory: string): Promise<string[]> {
  return withIoErrors('listing the consumers in', directory, async () => {
    try {
      return (await fs.list(directory)).filter(name => NAME.test(name))
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  })
}

/** The consumers of one log. */
export class Consumers<T> {
  readonly #parts: ConsumersParts<T>
  readonly #names: Set<string>
  /** By the path of the checkpoint. */
  readonly #states = new Map<string, ConsumerState<T>>()
  readonly #consumers = new Set<Consumer<T>>()

  constructor(parts: ConsumersParts<T>) {
    this.#parts = parts
    this.#names = new Set(parts.names)
  }

  /** How many are open. */
  get count(): number {
    let count = 0
    for (const state of this.#states.values()) if (state.isOpen) count++
    return count
  }

  /** Throws WAL_INVALID_OPTION, WAL_CLOSED. */
  consumer(name: string, options: ConsumerOptions<T> = {}): WalConsumer<T> {
    checkName(name)
    checkOptions('consumer()', options, consumerRules)
    const { log, clock } = this.#parts
    if (log.status === 'closed' || log.status === 'closing')
      throw new WalError('WAL_CLOSED', `The log in ${log.directory} is closed.`)
    const consumer = new Consumer<T>(this.#state(name, options.directory), clock, options)
    for (const known of this.#consumers) if (known.isClosed) this.#consumers.delete(known)
    this.#consumers.add(consumer)
    return consumer
  }

  /** Every consumer of this log that has a checkpoint or was opened, by name. */
  infos(): ConsumerInfo[] {
    const { directory } = this.#parts
    if (directory !== undefined) for (const name of this.#names) this.#state(name, undefined)
    return [...this.#states.values()]
      .map(state => state.info())
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  }

  /** Removes a consumer's checkpoint. Rejects with WAL_CONSUMER_ACTIVE while somebody reads under the name. */
  async delete(name: string): Promise<void> {
    checkName(name)
    const { directory, log } = this.#parts
    if (directory !== undefined) this.#state(name, undefined)
    const states = [...this.#states].filter(([, state]) => state.name === name)
    if (states.some(([, state]) => state.isActive)) {
      const message = `Consumer '${name}' of ${log.directory} is being read. End that reader first.`
      throw new WalError('WAL_CONSUMER_ACTIVE', message)
    }
    for (const [path, state] of states) {
      if (!state.isOpen) this.#states.delete(path)
      await state.remove()
    }
    this.#names.delete(name)
  }

  #state(name: string, ownDirectory: string | undefined): ConsumerState<T> {
    const { log, history, fs, clock } = this.#parts
    const directory = ownDirectory === undefined ? this.#parts.directory : resolve(ownDirectory)
    if (directory === undefined) {
      const message = `Consumer '${name}' needs the option 'directory': a log that is only read here has no place for its checkpoint.`
      throw new WalError('WAL_INVALID_OPTION', message)
    }
    const path = `${directory}/${name}`
    const known = this.#states.get(path)
    if (known !== undefined) return known
    const created = new ConsumerState<T>({
      name,
      log,
      history,
      createCheckpoint: state =>
        new Checkpoint({
          log,
          history,
          fs,
          clock,
          path,
          onNoted: () => state.noted(),
          onStored: index => state.stored(index),
        }),
    })
    this.#states.set(path, created)
    return created
  }

  /**
   * To be called while the log is being closed: once everything accepted is durable, before its lock is free for another process.
   * Ends all reads and stores every position.
   */
  async end(): Promise<void> {
    await Promise.all([...this.#consumers].map(consumer => consumer.stopReading()))
    const results = await Promise.allSettled([...this.#states.values()].map(state => state.checkpoint.end()))
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }
}

function checkName(name: string): void {
  if (typeof name !== 'string') throw new TypeError(`The name of a consumer must be a string, got ${typeof name}`)
  if (NAME.test(name)) return
  const message = `The name of a consumer must be 1 to 128 of A-Z a-z 0-9 . _ - and not start with a dot, got '${name}'.`
  throw new WalError('WAL_INVALID_OPTION', message)
}
