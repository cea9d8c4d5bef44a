// @ts-check
// walrus-wal itself, as built from this checkout.
import { readFileSync } from 'node:fs'
import { openWal } from '../../dist/index.js'
import { LeftOut } from './contract.mjs'

export function version() {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
}

/** @type {import('./contract.mjs').OpenPeer} */
export async function open(directory, settings) {
  const options = { sync: 'always', ...settings.options }
  /** @type {any} */
  const wal = await openWal(directory, options).catch(leaveOutWhatIsNotBuilt)
  return { ...writing(wal), ...reading(wal), ...describe(wal, options) }
}

/** @param {any} error @returns {never} */
function leaveOutWhatIsNotBuilt(error) {
  if (error.code === 'WAL_INVALID_OPTION') throw new LeftOut(error.message)
  throw error
}

/** @param {any} wal @param {Record<string, unknown>} options */
function describe(wal, options) {
  /** @type {import('./contract.mjs').Survives} */
  const survives = options.sync === 'always' ? 'power cut' : 'process crash'
  return {
    survives,
    options: Object.entries(options)
      .map(([name, value]) => `${name} ${JSON.stringify(value)}`)
      .join(', '),
    count: () => wal.lastIndex,
    close: () => wal.close(),
    rotate: () => wal.rotate(),
  }
}

/** @param {any} wal */
function writing(wal) {
  return {
    append: (/** @type {Buffer} */ data) => wal.append(data),
    batch: (/** @type {Buffer[]} */ data) => wal.appendBatch(data),
    submit: (/** @type {Buffer} */ data) => void wal.submit(data),
    room: () => (wal.writableNeedDrain ? wal.drained() : undefined),
    settle: () => wal.waitForCommit(wal.lastIndex),
    writable: () => wal.writable(),
  }
}

/** @param {any} wal */
function reading(wal) {
  return {
    scan: (/** @type {Visit} */ visit, /** @type {number} */ limit) => eachEntry(wal.replay({ to: limit }), visit),
    scanChunks: (/** @type {Visit} */ visit, /** @type {number} */ limit) =>
      eachChunk(wal.replay({ to: limit }), visit),
    range: (/** @type {number} */ from, /** @type {number} */ to, /** @type {Visit} */ visit) =>
      eachChunk(wal.replay({ from: from + 1, to }), visit),
    tail: (/** @type {Visit} */ visit, /** @type {AbortSignal} */ signal) =>
      eachChunk(wal.tail({ from: 'end', signal }), visit),
    get: async (/** @type {number} */ position) => (await wal.get(position + 1)).data,
    getSync: (/** @type {number} */ position) => wal.getSync(position + 1).data,
  }
}

/** @typedef {(data: Uint8Array) => void} Visit */

/** @param {any} cursor @param {Visit} visit */
async function eachEntry(cursor, visit) {
  for await (const entry of cursor) visit(entry.data)
}

/** @param {any} cursor @param {Visit} visit */
async function eachChunk(cursor, visit) {
  for await (const chunk of cursor.chunks()) for (const entry of chunk) visit(entry.data)
}
