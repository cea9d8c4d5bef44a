import { parentPort } from 'node:worker_threads'
import { sweepDamage } from './damage.js'
import { type Effort, Explorer } from './explorer.js'
import { type FaultEffort, FaultLoop } from './fault-loop.js'
import { describeFailure, describeFaultFailure } from './report.js'
import type { PolicyName } from './workload.js'
import { WORKLOADS } from './workloads.js'

/** One piece of work for a thread. */
export type Job = { workload: string; policy: PolicyName; seed: number } & (
  | { kind: 'crash'; effort: Effort }
  | { kind: 'fault'; effort: FaultEffort }
  | { kind: 'damage'; stride: number }
)

export interface Result {
  /** States, fault points or damages. */
  count: number
  /** What went wrong, ready to be read. */
  failures: string[]
}

parentPort?.on('message', (job: Job) => void run(job).then(result => parentPort?.postMessage(result)))

async function run(job: Job): Promise<Result> {
  const { policy, seed } = job
  if (job.kind === 'damage') {
    const { damages, failures } = await sweepDamage(policy, seed, job.stride)
    return { count: damages, failures: failures.map(failure => `${policy}, seed ${seed}: ${failure}`) }
  }
  const workload = WORKLOADS.find(known => known.name === job.workload)!
  if (job.kind === 'fault') {
    const { points, failures } = await new FaultLoop({ workload, policy, seed }, job.effort).run()
    return { count: points, failures: failures.map(describeFaultFailure) }
  }
  const { states, failures } = await new Explorer({ workload, policy, seed }, job.effort).explore()
  return { count: states, failures: failures.map(describeFailure) }
}
