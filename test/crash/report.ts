import type { Failure } from './explorer.js'
import type { FaultFailure } from './fault-loop.js'

const SCRIPT = 'node build/crash/test/crash/main.js'

/** A failure, and the command that shows it alone. */
export function describeFailure({ workload, policy, seed, path, message, stack }: Failure): string {
  const command = `${SCRIPT} --workload ${workload} --policy ${policy} --seed ${seed} --at '${path}'`
  return `${workload}, ${policy}, seed ${seed}, at ${path}: ${message}\n${stack}\nto see it alone: ${command}\n`
}

export function describeFaultFailure({ workload, policy, seed, point, message, stack }: FaultFailure): string {
  const { mishap, fault, nth, step } = point
  const at = [mishap, fault, nth, step].join(':')
  const command = `${SCRIPT} --workload ${workload} --policy ${policy} --seed ${seed} --fault '${at}'`
  return `${workload}, ${policy}, seed ${seed}, at ${at}: ${message}\n${stack}\nto see it alone: ${command}\n`
}
