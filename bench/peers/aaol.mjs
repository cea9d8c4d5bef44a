// @ts-check
// async-append-only-log, the log beneath Secure Scuttlebutt: acknowledges from memory, writes blocks on a timer and
// never syncs. It addresses records by offset, so the adapter keeps the offsets of what it saw.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import openLog from 'async-append-only-log'

export function version() {
  const path = new URL('../node_modules/async-append-only-log/package.json', import.meta.url)
  return JSON.parse(readFileSync(path, 'utf8')).version
}

/** @type {import('./contract.mjs').OpenPeer} */
export async function open(directory, settings) {
  const log = openLog(join(directory, 'log'), { blockSize: 65536 })
  await promisify(log.onDrain)()
  /** @type {number[]} */
  const offsets = []
  if (settings.needOffsets) await stream(log, (_value, offset) => offsets.push(offset), Number.POSITIVE_INFINITY)
  return {
    survives: 'nothing',
    options: '64 KiB blocks, written 250 ms later, never synced',
    append: data => promiseOf(done => log.append(data, done)),
    // appendTransaction would be all or none, but takes no more than a block.
    batch: data => promiseOf(done => log.append(data, done)),
    submit: data => log.append(data, failLoudly),
    settle: promisify(log.onDrain),
    scan: (visit, limit) => stream(log, visit, limit),
    get: position => promiseOf(done => log.get(offsets[position], done)),
    count: async () => {
      let entries = 0
      await stream(log, () => entries++, Number.POSITIVE_INFINITY)
      return entries
    },
    close: promisify(log.close),
  }
}

/** @param {Error | null} error */
function failLoudly(error) {
  if (error) throw error
}

/** @param {(done: (error: Error | null, value?: any) => void) => void} start @returns {Promise<any>} */
function promiseOf(start) {
  return new Promise((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value))))
}

/** @param {any} log @param {(value: Buffer, offset: number) => void} visit @param {number} limit */
function stream(log, visit, limit) {
  return new Promise((resolve, reject) => {
    const wanted = Number.isFinite(limit) ? { limit } : {}
    log.stream({ offsets: true, values: true, ...wanted }).pipe({
      paused: false,
      write: (/** @type {{ value: Buffer, offset: number }} */ record) => visit(record.value, record.offset),
      end: (/** @type {unknown} */ error) => (error instanceof Error ? reject(error) : resolve(undefined)),
    })
  })
}
