// @ts-check
// lmdb-js: keys are positions. Its asynchronous `put` batches all puts of an event turn into one transaction and
// resolves after the data were flushed and the meta page was written with O_DSYNC (checked with strace).
import { readFileSync } from 'node:fs'
import { open as openEnvironment } from 'lmdb'

export function version() {
  return JSON.parse(readFileSync(new URL('../node_modules/lmdb/package.json', import.meta.url), 'utf8')).version
}

/** @type {import('./contract.mjs').OpenPeer} */
export async function open(directory) {
  const database = openEnvironment(directory, { keyEncoding: 'uint32', encoding: 'binary', noMemInit: true })
  let next = nextKey(database)
  /** @type {Promise<unknown> | undefined} */
  let last
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
    submit: data => {
      last = database.put(next++, data)
    },
    settle: async () => {
      await last
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

/** @param {import('lmdb').RootDatabase<any, any>} database */
function nextKey(database) {
  for (const key of database.getKeys({ reverse: true, limit: 1 })) return key + 1
  return 0
}
