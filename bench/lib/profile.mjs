// @ts-check
// Where the time of a body goes: the sampling profiler of V8, its self times grouped by module.
import { Session } from 'node:inspector/promises'

const SAMPLE_MICROSECONDS = 200
const SHOWN = 12

/**
 * Runs `body` under the profiler.
 * @template T @param {() => Promise<T>} body
 * @returns {Promise<{ figures: T, profile: { what: string, percent: number }[] }>}
 */
export async function profiled(body) {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_MICROSECONDS })
  await session.post('Profiler.start')
  const figures = await body()
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  return { figures, profile: grouped(profile) }
}

/** @param {import('node:inspector').Profiler.Profile} profile */
function grouped({ nodes, samples = [], timeDeltas = [] }) {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, groupOf(callFrame)]))
  /** @type {Map<string, number>} */
  const times = new Map()
  let total = 0
  samples.forEach((id, i) => {
    const time = timeDeltas[i] ?? 0
    const name = names.get(id) ?? ''
    total += time
    times.set(name, (times.get(name) ?? 0) + time)
  })
  return [...times]
    .map(([what, time]) => ({ what, percent: (100 * time) / total }))
    .sort((a, b) => b.percent - a.percent)
    .slice(0, SHOWN)
}

/** @param {import('node:inspector').Runtime.CallFrame} frame */
function groupOf({ functionName, url }) {
  if (url.startsWith('wasm:')) return 'checksums and scans (WebAssembly)'
  if (url.startsWith('node:')) return url
  const [, own] = url.split('/dist/')
  if (own !== undefined) return own.replace(/\.js$/, '.ts')
  if (url.includes('/bench/')) return 'the benchmark itself'
  if (url.includes('/readable-stream/')) return 'readable-stream'
  if (functionName === '(idle)') return 'waiting for the disk (idle)'
  return url === '' ? `native: ${functionName}` : url
}

/** @param {any[]} cases with profiles in their rows */
export function profileMarkdown(cases) {
  return cases
    .flatMap(({ id, title, unit, rows }) =>
      rows
        .filter((/** @type {any} */ { profile }) => profile !== undefined)
        .map((/** @type {any} */ row) =>
          [
            `### ${id}: ${title} (${row.how})`,
            '',
            `| where | % of the main thread |`,
            '|---|---|',
            ...row.profile.map((/** @type {any} */ { what, percent }) => `| ${what} | ${percent.toFixed(1)} |`),
            '',
            `Under the profiler: ${Math.round(row.median).toLocaleString('en-US')} ${unit}.`,
          ].join('\n'),
        ),
    )
    .join('\n\n')
}
