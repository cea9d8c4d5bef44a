// @ts-check
// hypercore: a signed, Merkle-hashed log on RocksDB. It does far more per entry than a write-ahead log does, and it
// does not sync on append.
import { readFileSync } from 'node:fs'
import Hypercore from 'hypercore'

export function version() {
  const path = new URL('../node_modules/hypercore/package.json', import.meta.url)
  return JSON.parse(readFileSync(path, 'utf8')).version
}

/** @type {import('./contract.mjs').OpenPeer} */
export async function open(directory) {
  const core = new Hypercore(directory)
  await core.ready()
  return {
    survives: 'process crash',
    options: 'defaults (signed Merkle tree, RocksDB without sync)',
    append: data => core.append(data),
    batch: data => core.append(data),
    scan: (visit, limit) => eachBlock(core, 0, Math.min(limit, core.length), visit),
    range: (from, to, visit) => eachBlock(core, from, to, visit),
    get: position => core.get(position),
    count: () => core.length,
    close: () => core.close(),
  }
}

/** @param {any} core @param {number} start @param {number} end @param {(data: Buffer) => void} visit */
async function eachBlock(core, start, end, visit) {
  for await (const block of core.createReadStream({ start, end })) visit(block)
}
