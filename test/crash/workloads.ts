import type { Workload } from './workload.js'
import { append } from './workloads/append.js'
import { backUp } from './workloads/back-up.js'
import { batch } from './workloads/batch.js'
import { consume } from './workloads/consume.js'
import { lives } from './workloads/lives.js'
import { mixed } from './workloads/mixed.js'
import { reopen } from './workloads/reopen.js'
import { retain } from './workloads/retain.js'
import { rotate } from './workloads/rotate.js'
import { triggers } from './workloads/triggers.js'
import { truncate } from './workloads/truncate.js'

export const WORKLOADS: readonly Workload[] = [
  append,
  batch,
  rotate,
  triggers,
  reopen,
  lives,
  truncate,
  mixed,
  retain,
  consume,
  backUp,
]
