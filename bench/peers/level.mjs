// @ts-check
// classic-level (LevelDB) with sync: true on every write. Compression is off because the payloads do not compress,
// and the write buffer and cache are larger than the defaults: both help LevelDB here.
import { readFileSync } from 'node:fs'
import { ClassicLevel } from 'classic-level'

const MEBIBYTE = 1024 * 1024
const CHUNK_ENTRIES = 1000

export function version() {
  const path = new URL('../node_modules/classic-level/package.json', import.meta.url)
  return JSON.parse(readFileSync(path, 'utf8')).version
}

/** @type {import('./contract.mjs').OpenPeer} */
export async function open(directory) {
  /** @type {ClassicLevel<Buffer, Buffer>} */
  const database = new ClassicLevel(directory, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    compression: false,
    writeBufferSize: 64 * MEBIBYTE,
    cacheSize: 256 * MEBIBYTE,
  })
  await database.open()
  const key = (/** @type {number} */ position) => {
    const bytes = Buffer.allocUnsafe(8)
    bytes.writeUInt32BE(Math.floor(position / 2 ** 32), 0)
    bytes.writeUInt32BE(position >>> 0, 4)
    return bytes
  }
  let next = await nextPosition(database)
  return {
    survives: 'power cut',
    options: 'sync: true, no compression, 64 MiB write buffer, 256 MiB cache',
    append: data => database.put(key(next++), data, { sync: true }),
    batch: data =>
      database.batch(
        data.map(value => ({ type: 'put', key: key(next++), value })),
        { sync: true },
      ),
    scan: (visit, limit) => eachValue(database.values({ limit }), visit),
    range: (from, to, visit) => eachValue(database.values({ gte: key(from), lt: key(to) }), visit),
    get: async position => /** @type {Buffer} */ (await database.get(key(position))),
    getSync: position => /** @type {Buffer} */ (database.getSync(key(position))),
    count: () => nextPosition(database),
    close: () => database.close(),
  }
}

/** @param {any} iterator @param {(data: Buffer) => void} visit */
async function eachValue(iterator, visit) {
  for (;;) {
    const values = await iterator.nextv(CHUNK_ENTRIES)
    if (values.length === 0) break
    for (const value of values) visit(value)
  }
  await iterator.close()
}

/** @param {ClassicLevel<Buffer, Buffer>} database */
async function nextPosition(database) {
  for await (const key of database.keys({ reverse: true, limit: 1 })) {
    return key.readUInt32BE(0) * 2 ** 32 + key.readUInt32BE(4) + 1
  }
  return 0
}
