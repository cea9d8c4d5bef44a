import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { Explorer } from './explorer.js'
import { FaultLoop, type Mishap } from './fault-loop.js'
import { parsePath } from './path.js'
import { describeFailure, describeFaultFailure } from './report.js'
import type { Job, Result } from './worker.js'
import { POLICIES, type PolicyName } from './workload.js'
import { WORKLOADS } from './workloads.js'

/*
 * Looks for a promise that the log does not keep. Without arguments a quick round of everything.
 *
 *   --only crash|fault|damage    one kind of trouble          --states n    crash states to look at (default 10000)
 *   --minutes n                  goes on for so long          --threads n   worker threads (default 2)
 *   --seed n                     the first seed (default 1)   --stride n    fails and flips one in so many
 *   --workload, --policy: only these
 *
 * To see one failure alone: --workload, --policy, --seed, and --at path or --fault point, as printed with it.
 */
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    states: { type: 'string', default: '10000' },
    minutes: { type: 'string' },
    seed: { type: 'string', default: '1' },
    threads: { type: 'string', default: '2' },
    stride: { type: 'string' },
    workload: { type: 'string' },
    policy: { type: 'string' },
    at: { type: 'string' },
    fault: { type: 'string' },
  },
})
const firstSeed = Number(values.seed)
const started = Date.now()
const deadline = values.minutes === undefined ? undefined : started + Number(values.minutes) * 60_000
/** A first look costs little; whoever has time looks closer. */
const isQuick = deadline === undefined

type Kind = Job['kind']
const WORDS: Record<Kind, string> = {
  crash: 'crash states explored',
  fault: 'fault points tried',
  damage: 'damages tried',
}
const kinds = (Object.keys(WORDS) as Kind[]).filter(kind => values.only === undefined || values.only === kind)

const isReplay = values.at !== undefined || values.fault !== undefined
process.exitCode = (await (isReplay ? replay() : search())) ? 0 : 1

async function replay(): Promise<boolean> {
  const workload = WORKLOADS.find(({ name }) => name === values.workload)
  if (workload === undefined) throw new TypeError('--at and --fault need --workload, --policy and --seed')
  const course = { workload, policy: values.policy as PolicyName, seed: firstSeed }
  const failures = values.fault === undefined ? await replayCrash(course) : await replayFault(course, values.fault)
  for (const failure of failures) console.log(failure)
  console.log(`${failures.length} failures`)
  return failures.length === 0
}

async function replayCrash(course: ConstructorParameters<typeof Explorer>[0]): Promise<string[]> {
  const explorer = new Explorer(course, { losses: 0, innerEvery: 1 }, parsePath(values.at ?? ''), console.log)
  return (await explorer.explore()).failures.map(describeFailure)
}

async function replayFault(course: ConstructorParameters<typeof FaultLoop>[0], point: string): Promise<string[]> {
  const [mishap, fault = '', nth, step] = point.split(':')
  const only = { mishap: mishap as Mishap, fault, nth: Number(nth), step: Number(step) }
  return (await new FaultLoop(course, { stride: 1, wrecks: 1 }, only, console.log).run()).failures.map(
    describeFaultFailure,
  )
}

async function search(): Promise<boolean> {
  const counts: Record<Kind, number> = { crash: 0, fault: 0, damage: 0 }
  const failures: string[] = []
  const wanted = isQuick ? Number(values.states) : Number.POSITIVE_INFINITY
  const isOver = () => failures.length > 0 || (deadline !== undefined && Date.now() > deadline)
  const jobs = plan(() => counts.crash < wanted)
  const work = async () => {
    const worker = new Worker(new URL('./worker.js', import.meta.url))
    for (let next = jobs.next(); !next.done && !isOver(); next = jobs.next()) {
      const result = await ask(worker, next.value)
      counts[next.value.kind] += result.count
      failures.push(...result.failures)
      if (!isQuick) console.log(`${seconds()} s: ${kinds.map(kind => `${counts[kind]} ${WORDS[kind]}`).join(', ')}`)
    }
    await worker.terminate()
  }
  await Promise.all(Array.from({ length: Number(values.threads) }, work))
  for (const failure of failures) console.log(failure)
  for (const kind of kinds) console.log(`${WORDS[kind]}: ${counts[kind]}`)
  console.log(`violations: ${failures.length}, first seed ${firstSeed}, ${seconds()} s`)
  return failures.length === 0
}

/** Every workload with every policy; again and again with other seeds while there is time, or until there are states enough. */
function* plan(needsMore: () => boolean): Generator<Job, void> {
  for (let seed = firstSeed; ; seed++) {
    for (const job of round(seed)) {
      if (isQuick && seed > firstSeed && (job.kind !== 'crash' || !needsMore())) continue
      yield job
    }
    if (isQuick && (!needsMore() || !kinds.includes('crash'))) return
  }
}

function* round(seed: number): Generator<Job, void> {
  for (const policy of Object.keys(POLICIES) as PolicyName[]) {
    if (values.policy !== undefined && values.policy !== policy) continue
    // Who wrote them makes no difference to bits that flip.
    if (kinds.includes('damage') && !('writerThread' in POLICIES[policy]))
      yield { kind: 'damage', workload: '', policy, seed, stride: Number(values.stride ?? (isQuick ? 24 : 4)) }
    const fault = { stride: Number(values.stride ?? (isQuick ? 8 : 1)), wrecks: isQuick ? 1 : 6 }
    if (kinds.includes('fault')) yield { kind: 'fault', workload: 'mixed', policy, seed, effort: fault }
    const effort = isQuick ? { losses: 1, innerEvery: 32 } : { losses: 6, innerEvery: 8 }
    for (const { name } of WORKLOADS) {
      const isWanted = values.workload === undefined || values.workload === name
      if (kinds.includes('crash') && isWanted) yield { kind: 'crash', workload: name, policy, seed, effort }
    }
  }
}

function ask(worker: Worker, job: Job): Promise<Result> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('message', (result: Result) => {
      worker.off('error', reject)
      resolve(result)
    })
    worker.postMessage(job)
  })
}

function seconds(): string {
  return ((Date.now() - started) / 1000).toFixed(1)
}
