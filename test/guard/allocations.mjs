// Prints, as JSON, how much memory the calls that programs make most often allocate, in bytes a call. Run with --expose-gc and a young
// generation so large that nothing is collected meanwhile: then what is used afterwards is what was allocated.
import { createHook } from 'node:async_hooks'
import { PerformanceObserver } from 'node:perf_hooks'

const [library, directory] = process.argv.slice(2)
const { openWal } = await import(library)

const CALLS = 20_000
const entry = Buffer.alloc(256, 'x')
const figures = {}
let collections = 0
new PerformanceObserver(list => (collections += list.getEntries().length)).observe({ entryTypes: ['gc'] })

const wal = await openWal(directory, { sync: 'never', highWaterMark: 64 << 20 })

const RUNS = 5

/** The least of some runs: until code is compiled for good, and while it is being compiled, calls allocate more. */
async function measure(name, calls, run) {
  let least = { heap: Infinity }
  for (let i = 0; i < RUNS; i++) {
    const figure = await measureOnce(calls, run)
    if (figure.heap < least.heap) least = figure
  }
  figures[name] = least
}

async function measureOnce(calls, run) {
  globalThis.gc()
  await new Promise(resolve => setTimeout(resolve, 20))
  collections = 0
  const before = process.memoryUsage()
  await run()
  const after = process.memoryUsage()
  await new Promise(resolve => setTimeout(resolve, 20))
  return {
    heap: (after.heapUsed - before.heapUsed) / calls,
    buffers: (after.arrayBuffers - before.arrayBuffers) / calls,
    collections,
  }
}

await measure('submit', CALLS, async () => {
  for (let i = 0; i < CALLS; i++) wal.submit(entry)
  await wal.waitForCommit(wal.lastIndex)
})
await measure('append', CALLS, async () => {
  const pending = new Array(CALLS)
  for (let i = 0; i < CALLS; i++) pending[i] = wal.append(entry)
  await Promise.all(pending)
})
await measure('appendAlone', 1000, async () => {
  for (let i = 0; i < 1000; i++) await wal.append(entry)
})
const batch = Array.from({ length: 1000 }, () => entry)
await measure('appendBatch', CALLS, async () => {
  for (let i = 0; i < CALLS / 1000; i++) await wal.appendBatch(batch)
})
await wal.rotate()
const first = wal.lastIndex - CALLS + 1
await measure('chunks', CALLS, async () => {
  for await (const chunk of wal.replay({ from: first }).chunks()) void chunk.length
})
await measure('replay', CALLS, async () => {
  for await (const { index } of wal.replay({ from: first })) void index
})
await measure('getSync', CALLS, async () => {
  for (let i = 0; i < CALLS; i++) wal.getSync(first + i)
})

let promises = 0
const hook = createHook({ init: (_id, type) => void (type === 'PROMISE' && promises++) })
const pending = new Array(CALLS)
hook.enable()
for (let i = 0; i < CALLS; i++) pending[i] = wal.append(entry)
hook.disable()
await Promise.all(pending)
figures.promises = promises / CALLS

await wal.close()
console.log(JSON.stringify(figures))
