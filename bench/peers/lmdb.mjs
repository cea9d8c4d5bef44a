// @ts-check
// lmdb-js: keys are positions. Its asynchronous `put` batches all puts of an event turn into one transaction and
// resolves after the data were flushed and the meta page was written with O_DSYNC (checked with strace).
import { readFileSync } from 'node:fs'
import { open as openEnvironment } from 'lmdb'

const WINDOW_BYTES = 16 * 1024 * 1024

export function version() {
  return JSON.parse(readFileSync(new URL('../node_modules/lmdb/package.json', import.meta.url), 'utf8')).version
}

/** @type {import('./contract.mjs').OpenPeer} */
export async function open(directory) {
  const database = openEnvironment(directory, { keyEncoding: 'uint32', encoding: 'binary', noMemInit: true })
  let next = nextKey(database)
  const queue = new Queue()
  return {
    survives: 'power cut',
    options: 'defaults (flushed transactions), noMemInit, uint32 keys, binary values',
    append: data => database.put(next++, data),
    // The fastest of put, batch() and transactionSync() for a thousand entries at a time.
    batch: data => {
      database.transactionSync(() => {
        for (const value of data) void database.put(next++, value)
      })
      return database.flushed
    },
    submit: data => queue.add(database.put(next++, data), data.length),
    room: () => queue.room(),
    settle: async () => {
      await queue.last
      await database.flushed
    },
    scan: (visit, limit) => {
      for (const { value } of database.getRange({ limit })) visit(value)
    },
    range: (from, to, visit) => {
      for (const { value } of database.getRange({ start: from, end: to })) visit(value)
    },
    get: async position => database.get(position),
    getSync: position => database.get(position),
    getView: position => /** @type {Buffer} */ (database.getBinaryFast(position)),
    count: () => nextKey(database),
    close: () => database.close(),
  }
}

/** lmdb-js queues puts without bound; this keeps two windows of bytes outstanding. */
class Queue {
  /** @type {Promise<unknown> | undefined} */
  last
  #bytes = 0
  /** @type {Promise<unknown>[]} */
  #windows = []

  /** @param {Promise<unknown>} put @param {number} bytes */
  add(put, bytes) {
    this.last = put
    this.#bytes += bytes
    if (this.#bytes < WINDOW_BYTES) return
    this.#bytes = 0
    this.#windows.push(put)
  }

  room() {
    return this.#windows.length > 1 ? this.#windows.shift() : undefined
  }
}

/** @param {import('lmdb').RootDatabase<any, any>} database */
function nextKey(database) {
  for (const key of database.getKeys({ reverse: true, limit: 1 })) return key + 1
  return 0
}
