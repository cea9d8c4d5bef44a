/** Time as the library sees it. Injected, so that tests can hold it, jump it and count on it. */
export interface Clock {
  /** Milliseconds since the Unix epoch; jumps when somebody sets the machine's clock. */
  now(): number
  /** Milliseconds of a clock that only goes forward, whatever happens to the time of day. */
  monotonic(): number
  /**
   * Calls back once after `delayMs` (`Infinity`: never); returns a function that takes it back. Does not keep the process alive,
   * unless `keepAlive`: for what somebody who asked for it waits for.
   */
  setTimer(callback: () => void, delayMs: number, options?: { keepAlive: boolean }): () => void
}

/** What setTimeout can wait at most; it takes anything longer for 1 ms. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: Date.now,
  monotonic: () => performance.now(),
  setTimer(callback, delayMs, { keepAlive } = { keepAlive: false }) {
    let timer: NodeJS.Timeout | undefined
    const wait = (leftMs: number) => {
      const stepMs = Math.min(leftMs, LONGEST_TIMEOUT_MS)
      timer = setTimeout(() => (leftMs > stepMs ? wait(leftMs - stepMs) : callback()), stepMs)
      if (!keepAlive) timer.unref()
    }
    wait(delayMs)
    return () => clearTimeout(timer)
  },
}
