import { parentPort } from 'node:worker_threads'
import { type Effort, Explorer, type Outcome } from './explorer.js'
import type { PolicyName } from './workload.js'
import { WORKLOADS } from './workloads.js'

export interface Job {
  workload: string
  policy: PolicyName
  seed: number
  effort: Effort
}

parentPort?.on('message', (job: Job) => void run(job).then(outcome => parentPort?.postMessage(outcome)))

async function run({ workload: name, policy, seed, effort }: Job): Promise<Outcome> {
  const workload = WORKLOADS.find(known => known.name === name)!
  return new Explorer({ workload, policy, seed }, effort).explore()
}
