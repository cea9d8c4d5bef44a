// @ts-check
// The file system without a log: no frames, no checksums, no recovery. What it cannot do (say where an entry ends,
// survive a torn write) is the work the others do on top; its figures are the floor and the ceiling.
import fs, { constants, createWriteStream } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const CHUNK_BYTES = 1024 * 1024
const write = promisify(fs.write)
const fdatasync = promisify(fs.fdatasync)

export function version() {
  return process.versions.node
}

/** @type {import('./contract.mjs').OpenPeer} */
export async function open(directory, settings) {
  const path = join(directory, 'raw')
  const bytes = settings.payloadBytes
  if (settings.direct) return openDirect(path, bytes)
  if (settings.stream) return openStream(path, bytes)
  const file = fs.openSync(path, constants.O_RDWR | constants.O_CREAT)
  if (settings.preparedBytes) prepare(file, settings.preparedBytes)
  return {
    survives: 'power cut',
    options: `write + fdatasync${settings.preparedBytes ? ', file zero-filled ahead' : ', file extended by each write'}`,
    ...writing(file),
    ...reading(file, bytes),
    count: () => fs.fstatSync(file).size / bytes,
    close: () => fs.closeSync(file),
  }
}

/** @param {string} path @param {number} bytes @returns {import('./contract.mjs').PeerLog} */
function openStream(path, bytes) {
  const file = fs.openSync(path, constants.O_RDWR | constants.O_CREAT)
  return {
    survives: 'process crash',
    options: 'fs.createWriteStream, high-water mark 1 MiB, never synced',
    ...reading(file, bytes),
    writable: () => createWriteStream(path, { highWaterMark: CHUNK_BYTES }),
    count: () => fs.fstatSync(file).size / bytes,
    close: () => fs.closeSync(file),
  }
}

/** @param {number} file @param {number} bytes */
function prepare(file, bytes) {
  const zeros = Buffer.alloc(CHUNK_BYTES)
  for (let at = 0; at < bytes; at += CHUNK_BYTES) fs.writeSync(file, zeros, 0, CHUNK_BYTES, at)
  fs.fsyncSync(file)
}

/** @param {number} file */
function writing(file) {
  let end = 0
  const append = async (/** @type {Buffer} */ data) => {
    const at = end
    end += data.length
    await write(file, data, 0, data.length, at)
    await fdatasync(file)
  }
  return { append, batch: (/** @type {Buffer[]} */ data) => append(Buffer.concat(data)) }
}

/** @param {number} file @param {number} bytes */
function reading(file, bytes) {
  const getSync = (/** @type {number} */ position) => {
    const data = Buffer.allocUnsafe(bytes)
    fs.readSync(file, data, 0, bytes, position * bytes)
    return data
  }
  const range = async (/** @type {number} */ from, /** @type {number} */ to, /** @type {Visit} */ visit) => {
    for (let at = from * bytes; at < to * bytes; ) {
      const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, to * bytes - at))
      const got = fs.readSync(file, chunk, 0, chunk.length, at)
      if (got < bytes) return
      const whole = got - (got % bytes)
      for (let entry = 0; entry < whole; entry += bytes) visit(chunk.subarray(entry, entry + bytes))
      at += whole
    }
  }
  return {
    scan: (/** @type {Visit} */ visit, /** @type {number} */ limit) => range(0, limit, visit),
    range,
    getSync,
    get: promisify((/** @type {number} */ position, /** @type {(e: Error | null, d: Buffer) => void} */ done) => {
      fs.read(file, Buffer.allocUnsafe(bytes), 0, bytes, position * bytes, (error, _got, data) => done(error, data))
    }),
  }
}

/** @typedef {(data: Uint8Array) => void} Visit */

/**
 * Writes of 1 MiB with O_DIRECT and O_DSYNC from page-aligned memory, entries copied in back to back: the ceiling of
 * what any log can write durably through one file. While one half of the memory is written the other fills.
 * @param {string} path @param {number} bytes
 * @returns {import('./contract.mjs').PeerLog}
 */
function openDirect(path, bytes) {
  const memory = new WebAssembly.Memory({ initial: (2 * CHUNK_BYTES) / 65536 })
  const block = Buffer.from(memory.buffer)
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_DIRECT | constants.O_DSYNC
  const file = fs.openSync(path, flags)
  let [half, used, written] = [0, 0, 0]
  /** @type {Promise<unknown>} */
  let inFlight = Promise.resolve()
  /** @type {Promise<unknown> | undefined} */
  let wait
  const flush = () => {
    const [from, at] = [half * CHUNK_BYTES, written]
    ;[half, used, written] = [1 - half, 0, written + CHUNK_BYTES]
    wait = inFlight
    inFlight = inFlight.then(() => write(file, block, from, CHUNK_BYTES, at))
  }
  return {
    survives: 'power cut',
    options: 'O_DIRECT | O_DSYNC, 1 MiB writes, one in flight',
    submit: data => {
      data.copy(block, half * CHUNK_BYTES + used)
      used += data.length
      if (used + bytes > CHUNK_BYTES) flush()
    },
    room: () => {
      const waiting = wait
      wait = undefined
      return waiting
    },
    settle: () => {
      if (used > 0) flush()
      return inFlight
    },
    count: () => Number.NaN,
    close: () => fs.closeSync(file),
  }
}
