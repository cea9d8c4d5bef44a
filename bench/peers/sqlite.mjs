// @ts-check
// better-sqlite3 in WAL mode with synchronous=FULL: every transaction is flushed before it returns.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'

export function version() {
  const path = new URL('../node_modules/better-sqlite3/package.json', import.meta.url)
  return JSON.parse(readFileSync(path, 'utf8')).version
}

/** @type {import('./contract.mjs').OpenPeer} */
export async function open(directory) {
  const database = new Database(join(directory, 'log.sqlite'))
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  database.pragma(`mmap_size = ${2 ** 31}`)
  database.exec('CREATE TABLE IF NOT EXISTS log (position INTEGER PRIMARY KEY, data BLOB NOT NULL)')
  const last = database.prepare('SELECT max(position) FROM log').pluck()
  const count = () => /** @type {number | null} */ (last.get()) ?? 0
  return {
    survives: 'power cut',
    options: 'journal_mode=WAL, synchronous=FULL, mmap, prepared statements',
    ...writing(database),
    ...reading(database),
    count,
    close: () => database.close(),
  }
}

/** @param {any} database */
function writing(database) {
  const insert = database.prepare('INSERT INTO log (data) VALUES (?)')
  const insertAll = database.transaction((/** @type {Buffer[]} */ data) => {
    for (const value of data) insert.run(value)
  })
  return {
    append: (/** @type {Buffer} */ data) => insert.run(data),
    batch: (/** @type {Buffer[]} */ data) => insertAll(data),
  }
}

/** @param {any} database */
function reading(database) {
  const one = database.prepare('SELECT data FROM log WHERE position = ?').pluck()
  const between = database
    .prepare('SELECT data FROM log WHERE position > ? AND position <= ? ORDER BY position')
    .pluck()
  const getSync = (/** @type {number} */ position) => /** @type {Buffer} */ (one.get(position + 1))
  const range = (/** @type {number} */ from, /** @type {number} */ to, /** @type {(data: Buffer) => void} */ visit) => {
    for (const data of between.iterate(from, to)) visit(/** @type {Buffer} */ (data))
  }
  return {
    scan: (/** @type {(data: Buffer) => void} */ visit, /** @type {number} */ limit) => range(0, limit, visit),
    range,
    getSync,
    get: async (/** @type {number} */ position) => getSync(position),
  }
}
