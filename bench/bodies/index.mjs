// @ts-check
// The bodies by name, and what each is handed.
import * as lifecycle from './lifecycle.mjs'
import * as reading from './reading.mjs'
import * as tails from './tails.mjs'
import * as writing from './writing.mjs'

/**
 * @typedef {object} Context
 * @property {any} log the open peer; a body calls only what its case says the peer has
 * @property {() => Promise<any>} reopenLog
 * @property {import('../lib/payload.mjs').Payloads} payloads
 * @property {import('../lib/budget.mjs').Budget} budget
 * @property {Record<string, any>} params
 * @property {(result: object) => Promise<void>} announce prints the result before the process is killed
 */

/**
 * `opens: false` leaves opening to the body. `writes: true` has the child read back what was acknowledged.
 * @typedef {{ run: (context: Context) => Promise<any>, opens?: boolean, writes?: boolean }} Body
 */

/** @type {Record<string, Body>} */
export const BODIES = {
  openLoop: { run: writing.openLoop, writes: true },
  submit: { run: writing.submit, writes: true },
  concurrent: { run: writing.concurrent, writes: true },
  batches: { run: writing.batches, writes: true },
  pipe: { run: writing.pipe, writes: true },
  growing: { run: writing.growing },
  busyPool: { run: lifecycle.busyPool, writes: true },
  tails: { run: tails.tails, writes: true },
  delivery: { run: tails.delivery, writes: true },
  replay: { run: reading.replay },
  get: { run: reading.get },
  fill: { run: lifecycle.fill, writes: true },
  crash: { run: lifecycle.crash },
  reopen: { run: lifecycle.reopen, opens: false },
  memoryUnderLoad: { run: lifecycle.memoryUnderLoad },
  memoryWhenEmpty: { run: lifecycle.memoryWhenEmpty },
}
