import type { Workload } from './workload.js'
import { append } from './workloads/append.js'
import { batch } from './workloads/batch.js'
import { reopen } from './workloads/reopen.js'
import { rotate } from './workloads/rotate.js'

export const WORKLOADS: readonly Workload[] = [append, batch, rotate, reopen]
