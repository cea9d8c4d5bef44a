import type { Source } from './source.js'

/** What code may not reach for by itself, and the modules that are made for it. */
const rules = [
  {
    what: 'the clock or a timer',
    found: /\bDate\.now\b|\bnew Date\(\)|\bperformance\.|\bset(Timeout|Interval)\(/,
    instead: 'take a Clock',
    within: /^src\//,
    except: /^src\/(clock\.ts|file-system\/)/,
  },
  {
    what: 'what runs later',
    found:
      /\basync (function\b|\(|\w+\()|\bawait\b|\bnew Promise\b|\bPromise\.|\bset(Timeout|Immediate)\(|\bqueueMicrotask\(|\bnextTick\(/,
    instead: 'leave it to the caller: bytes in, bytes out',
    within: /^src\/codec\//,
    except: undefined,
  },
]

export function purityViolations(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path, code }) =>
    rules
      .filter(({ found, within, except }) => within.test(path) && !except?.test(path) && found.test(code))
      .map(({ what, instead }) => `${path} must not use ${what} by itself: ${instead}`),
  )
}
