import type { Clock } from '../clock.js'

export interface LookoutParts {
  clock: Clock
  /** Milliseconds between looks while nothing else tells of changes. */
  pollIntervalMs: number
  /** Looks; resolves with whether something had changed. Never rejects. */
  look: () => Promise<boolean>
}

/** While the file system tells of changes in time, this is often enough to notice that it no longer does. */
const RELAXED_MS = 100

/**
 * Looks when the file system says that something changed, and now and then by itself: file systems on other machines say
 * nothing, and some say it of a part of the changes only. One look at a time.
 */
export class Lookout {
  readonly #parts: LookoutParts
  /** The last change was noticed because the file system told of it. */
  #isTold = false
  #looking: Promise<void> | undefined
  #again = false
  #cancel: (() => void) | undefined
  #stopped = false

  constructor(parts: LookoutParts) {
    this.#parts = parts
    this.#sleep()
  }

  /** The file system tells of a change. */
  tell(): void {
    void this.#run(true)
  }

  /** Looks now, or once more if a look is under way; resolves when that is done. */
  async look(): Promise<void> {
    await this.#looking
    await this.#run(false)
  }

  /** Resolves once no look is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancel?.()
    await this.#looking
  }

  #run(told: boolean): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    if (this.#looking !== undefined) this.#again = true
    else this.#looking = this.#lookUntilQuiet(told)
    return this.#looking
  }

  async #lookUntilQuiet(told: boolean): Promise<void> {
    this.#cancel?.()
    do {
      this.#again = false
      if (await this.#parts.look()) this.#isTold = told
    } while (this.#again && !this.#stopped)
    this.#looking = undefined
    this.#sleep()
  }

  #sleep(): void {
    if (this.#stopped) return
    const { clock, pollIntervalMs } = this.#parts
    const delayMs = this.#isTold ? Math.max(RELAXED_MS, pollIntervalMs) : pollIntervalMs
    this.#cancel = clock.setTimer(() => void this.#run(false), delayMs)
  }
}
