import type { Clock } from '../clock.js'
import type { RetentionHold } from '../contract.js'
import type { ResolvedRetention } from '../options.js'
import { decideRetention, expiredSegments, heldBytesOf, type RetentionDecision } from '../segments/retention.js'
import type { Segment } from '../segments/segment.js'
import type { Logger } from '../types.js'
import { ClockGuard } from './clock-guard.js'

export interface RetentionHost {
  clock: Clock
  logger: Logger
  directory: string
  segments: () => readonly Segment[]
  /**
   * Removes the segments up to the one that `choose` returns, which is asked when nothing else can change the chain any more.
   * Resolves with whether there was one.
   */
  remove: (choose: () => Segment | undefined) => Promise<boolean>
}

/** Looked at this often when nothing is known to be due: consumers move on, and an archive comes back. */
const IDLE_MS = 5000
/** And at most this often. */
const SHORTEST_MS = 10

/**
 * Removes old segments by itself: at rotation and by its own timer. Holds what it knows of those who are to be waited for; what goes
 * is decided by segments/retention.ts.
 */
export class RetentionKeeper {
  readonly #options: ResolvedRetention | undefined
  readonly #host: RetentionHost
  readonly #guard: ClockGuard
  readonly #holds = new Map<RetentionHold, { toldBytes: number }>()
  readonly #pins = new Set<{ from: number }>()
  /** By the monotonic clock, of segments that were sealed since the log was opened. */
  readonly #sealedAt = new WeakMap<Segment, number>()
  readonly #archived = new WeakSet<Segment>()
  #cancelTimer: (() => void) | undefined
  #running = false
  #again = false
  #stopped = false
  #warnedOfClock = false

  constructor(options: ResolvedRetention | undefined, host: RetentionHost) {
    this.#options = options
    this.#host = host
    this.#guard = new ClockGuard(host.clock)
    if (options !== undefined) this.#wakeIn(SHORTEST_MS)
  }

  /** Waits for a reader from now on, until the function it returns is called. */
  hold(hold: RetentionHold): () => void {
    this.#holds.set(hold, { toldBytes: 0 })
    return () => this.#holds.delete(hold)
  }

  /** Keeps everything from `from` on, whatever it costs, until the function it returns is called. */
  pin(from: number): () => void {
    const pin = { from }
    this.#pins.add(pin)
    return () => {
      if (this.#pins.delete(pin)) this.check()
    }
  }

  /** A segment was sealed. */
  sealed(segment: Segment): void {
    this.#sealedAt.set(segment, this.#host.clock.monotonic())
    this.check()
  }

  /** Looks soon whether something has to go. */
  check(): void {
    if (this.#options === undefined || this.#stopped) return
    this.#again = true
    if (!this.#running) void this.#run()
  }

  stop(): void {
    this.#stopped = true
    this.#cancelTimer?.()
  }

  /** Never rejects: what goes wrong is reported and tried again. */
  async #run(): Promise<void> {
    this.#running = true
    this.#cancelTimer?.()
    while (this.#again && !this.#stopped) {
      this.#again = false
      try {
        await this.#pass()
      } catch (error) {
        if (this.#stopped) break
        const { logger, directory } = this.#host
        logger.error({ directory, error }, 'retention could not remove a segment; it stays and is tried again')
        break
      }
    }
    this.#again = false
    this.#running = false
    this.#sleep()
  }

  /** Removes what is due. With an archive one at a time: each goes as soon as it is safe elsewhere. */
  async #pass(): Promise<void> {
    const archive = this.#options?.archive
    this.#warn(this.#decide())
    for (;;) {
      const oldest = this.#decide().remove[0]
      if (oldest === undefined || this.#stopped) return
      if (archive !== undefined && !this.#archived.has(oldest)) {
        await archive(oldest.info())
        this.#archived.add(oldest)
      }
      if (!(await this.#host.remove(() => this.#removable()))) return
    }
  }

  /** The last of the segments that may go now. */
  #removable(): Segment | undefined {
    if (this.#stopped) return undefined
    const due = this.#decide().remove
    if (this.#options?.archive === undefined) return due.at(-1)
    const kept = due.findIndex(segment => !this.#archived.has(segment))
    return due[kept === -1 ? due.length - 1 : kept - 1]
  }

  #decide(): RetentionDecision<Segment> {
    const { limits, holdForConsumers, maxHeldBytes } = this.#options!
    return decideRetention({
      segments: this.#host.segments(),
      limits,
      ageOf: this.#ageReader(),
      heldFrom: holdForConsumers ? this.#heldFrom() : Number.POSITIVE_INFINITY,
      maxHeldBytes,
      pinnedFrom: Math.min(...[...this.#pins].map(pin => pin.from)),
    })
  }

  #heldFrom(): number {
    return Math.min(...[...this.#holds.keys()].map(hold => hold.heldFrom() ?? Number.POSITIVE_INFINITY))
  }

  /**
   * Ages are those of the wall clock, because a log outlives its processes; a segment that this one has sealed is besides no older
   * than the monotonic clock says. While the two clocks disagree no segment has an age.
   */
  #ageReader(): (segment: Segment) => number | undefined {
    const { clock } = this.#host
    const now = clock.now()
    const monotonic = clock.monotonic()
    const isSound = this.#clockIsSound()
    return segment => {
      if (!isSound) return undefined
      const sealedAt = this.#sealedAt.get(segment)
      const age = now - segment.sealedAt
      return sealedAt === undefined ? age : Math.min(age, monotonic - sealedAt)
    }
  }

  #clockIsSound(): boolean {
    const { isSound, jumpMs } = this.#guard
    if (isSound || this.#options?.limits.maxAgeMs === Number.POSITIVE_INFINITY) {
      this.#warnedOfClock = false
    } else if (!this.#warnedOfClock) {
      this.#warnedOfClock = true
      const { logger, directory } = this.#host
      logger.warn({ directory, jumpMs }, 'the time of day was set while the log was open: nothing is removed by age')
    }
    return isSound
  }

  /** Tells those who are waited for, before anything goes that they have not read. */
  #warn({ heldBytes }: RetentionDecision<Segment>): void {
    const { limits, maxHeldBytes, holdForConsumers } = this.#options!
    if (!holdForConsumers) return
    const expired =
      heldBytes === 0 ? [] : expiredSegments({ segments: this.#host.segments(), limits, ageOf: this.#ageReader() })
    for (const [hold, state] of this.#holds) {
      const bytes = heldBytesOf(expired, hold.heldFrom() ?? Number.POSITIVE_INFINITY)
      const grew = bytes > state.toldBytes
      state.toldBytes = bytes
      if (!grew) continue
      this.#host.logger.warn(
        { directory: this.#host.directory, heldBytes: bytes, maxHeldBytes },
        bytes > maxHeldBytes
          ? 'a consumer is overtaken by retention'
          : 'retention keeps segments that a consumer has yet to read',
      )
      hold.onHeld?.({ heldBytes: bytes, maxHeldBytes })
    }
  }

  /** Sleeps until the oldest sealed segment comes of age, or for a while. */
  #sleep(): void {
    if (this.#options === undefined || this.#stopped) return
    const { maxAgeMs } = this.#options.limits
    const oldest = this.#host.segments()[0]
    const age = oldest?.sealed ? this.#ageReader()(oldest) : undefined
    const untilDue = age === undefined ? IDLE_MS : maxAgeMs - age + 1
    this.#wakeIn(untilDue <= 0 ? IDLE_MS : Math.min(IDLE_MS, Math.max(SHORTEST_MS, untilDue)))
  }

  #wakeIn(delayMs: number): void {
    this.#cancelTimer = this.#host.clock.setTimer(() => this.check(), delayMs)
  }
}
