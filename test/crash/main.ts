import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { Explorer, type Failure, type Outcome } from './explorer.js'
import { parsePath } from './path.js'
import type { Job } from './worker.js'
import { POLICIES, type PolicyName } from './workload.js'
import { WORKLOADS } from './workloads.js'

/*
 * Explores what crashes leave. Without arguments a quick round; see docs/DURABILITY.md.
 *
 *   --states n     stop after so many states           --seed n       first seed (default 1)
 *   --minutes n    go on for so long                   --threads n    worker threads (default 2)
 *   --workload name --policy name --seed n --at path   replays one state
 */
const { values } = parseArgs({
  options: {
    states: { type: 'string' },
    minutes: { type: 'string' },
    seed: { type: 'string', default: '1' },
    threads: { type: 'string', default: '2' },
    workload: { type: 'string' },
    policy: { type: 'string' },
    at: { type: 'string' },
  },
})
const firstSeed = Number(values.seed)
/** A first look at every operation costs little; whoever has time looks closer. */
const effort = values.minutes === undefined ? { losses: 2, innerEvery: 24 } : { losses: 6, innerEvery: 8 }

process.exitCode = values.at === undefined ? await explore() : await replay(values.at)

async function replay(at: string): Promise<number> {
  const workload = WORKLOADS.find(({ name }) => name === values.workload)
  if (workload === undefined) throw new TypeError('--at needs --workload, --policy and --seed')
  const course = { workload, policy: values.policy as PolicyName, seed: firstSeed }
  const outcome = await new Explorer(course, { losses: 0, innerEvery: 1 }, parsePath(at), console.log).explore()
  for (const { message, stack } of outcome.failures) console.log(`${message}\n${stack}`)
  console.log(`${outcome.states} states on the way, ${outcome.failures.length} failures`)
  return outcome.failures.length === 0 ? 0 : 1
}

async function explore(): Promise<number> {
  const started = Date.now()
  const deadline = values.minutes === undefined ? undefined : started + Number(values.minutes) * 60_000
  const wanted = deadline === undefined ? Number(values.states ?? 10_000) : Number.POSITIVE_INFINITY
  const jobs = endlessJobs()
  let states = 0
  const failures: Failure[] = []
  const isDone = () => states >= wanted || failures.length > 0 || (deadline !== undefined && Date.now() > deadline)
  const work = async () => {
    const worker = new Worker(new URL('./worker.js', import.meta.url))
    while (!isDone()) {
      const outcome = await ask(worker, jobs.next().value)
      states += outcome.states
      failures.push(...outcome.failures)
      if (deadline !== undefined) console.log(`${seconds(started)} s: ${states} states, ${failures.length} failures`)
    }
    await worker.terminate()
  }
  await Promise.all(Array.from({ length: Number(values.threads) }, work))
  for (const failure of failures) console.log(describe(failure))
  console.log(
    `crash states explored: ${states}, violations: ${failures.length}, first seed ${firstSeed}, ${seconds(started)} s`,
  )
  return failures.length === 0 ? 0 : 1
}

/** All workloads with all policies, again and again with other seeds. */
function* endlessJobs(): Generator<Job, never> {
  for (let seed = firstSeed; ; seed++) {
    for (const policy of Object.keys(POLICIES) as PolicyName[]) {
      if (values.policy !== undefined && values.policy !== policy) continue
      for (const { name } of WORKLOADS) {
        if (values.workload !== undefined && values.workload !== name) continue
        yield { workload: name, policy, seed, effort }
      }
    }
  }
}

function ask(worker: Worker, job: Job): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('message', (outcome: Outcome) => {
      worker.off('error', reject)
      resolve(outcome)
    })
    worker.postMessage(job)
  })
}

function describe({ workload, policy, seed, path, message, stack }: Failure): string {
  const script = 'node build/crash/test/crash/main.js'
  const command = `${script} --workload ${workload} --policy ${policy} --seed ${seed} --at '${path}'`
  return `${workload}, ${policy}, seed ${seed}, at ${path}: ${message}\n${stack}\nto see it alone: ${command}\n`
}

function seconds(since: number): string {
  return ((Date.now() - since) / 1000).toFixed(1)
}
