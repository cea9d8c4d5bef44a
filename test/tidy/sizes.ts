import type { Source } from './source.js'

/** Lines of code, without blank lines and comments. */
export const maxFileLines = 400
/** A list of scenes is read piece by piece. */
export const maxTestFileLines = 600
export const maxFunctionLines = 60

/** What is longer than the limits today: a path, or a path and a function's name, with its lines. */
export type SizeExceptions = Readonly<Record<string, number>>

/**
 * The ratchet: what is over a limit must be listed with exactly its size, so a listed size can only fall, and falls out of
 * the list once it is within the limit.
 */
export function sizeViolations(sources: readonly Source[], exceptions: SizeExceptions): string[] {
  const sizes = measure(sources)
  const overLimit = [...sizes]
    .filter(([name, { lines, limit }]) => lines > (exceptions[name] ?? limit))
    .map(
      ([name, { lines, limit }]) =>
        `${name} has ${lines} lines of code, ${exceptions[name] ?? limit} are allowed: split it`,
    )
  const outdated = Object.entries(exceptions).flatMap(([name, listed]) => {
    const size = sizes.get(name)
    if (!size || size.lines <= size.limit) return [`${name} needs no exception any more: remove it from the list`]
    return size.lines < listed
      ? [`${name} is down to ${size.lines} lines of code: lower its exception from ${listed}`]
      : []
  })
  return [...overLimit, ...outdated]
}

function measure(sources: readonly Source[]): Map<string, { lines: number; limit: number }> {
  const sizes = new Map<string, { lines: number; limit: number }>()
  for (const source of sources) {
    sizes.set(source.path, { lines: source.codeLines, limit: isTest(source) ? maxTestFileLines : maxFileLines })
    for (const { name, codeLines, isSuite } of source.functions) {
      const key = `${source.path} ${name}`
      const lines = Math.max(codeLines, sizes.get(key)?.lines ?? 0)
      if (!isSuite) sizes.set(key, { lines, limit: maxFunctionLines })
    }
  }
  return sizes
}

function isTest({ path }: Source): boolean {
  return path.startsWith('test/')
}
