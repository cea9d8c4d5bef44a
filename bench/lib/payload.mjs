// @ts-check
// Every entry a benchmark writes comes from a pool of distinct buffers made ahead of time: no peer pays for making
// data, none can see a buffer change under it, and what is read back can be compared with what was written.

const POOL_BYTES = 8 * 1024 * 1024
const MAX_POOL_ENTRIES = 4096
const MIN_POOL_ENTRIES = 4

/**
 * A power of two of pseudo-random buffers; the first four bytes of each are its number in the pool.
 * @param {number} bytes size of one payload
 */
export function makePayloads(bytes) {
  let count = MAX_POOL_ENTRIES
  while (count > MIN_POOL_ENTRIES && count * bytes > POOL_BYTES) count /= 2
  let state = 0x2545f491
  const pool = []
  for (let number = 0; number < count; number++) {
    const payload = Buffer.alloc(bytes)
    for (let at = 0; at + 4 <= bytes; at += 4) {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      payload.writeInt32LE(state | 0, at)
    }
    payload.writeUInt32LE(number, 0)
    pool.push(payload)
  }
  return new Payloads(pool)
}

export class Payloads {
  /** @param {Buffer[]} pool */
  constructor(pool) {
    this.pool = pool
    this.mask = pool.length - 1
    this.bytes = /** @type {Buffer} */ (pool[0]).length
  }

  /**
   * The payload of the entry at `position` (counted from 0).
   * @param {number} position
   * @returns {Buffer}
   */
  at(position) {
    return /** @type {Buffer} */ (this.pool[position & this.mask])
  }

  /**
   * Throws unless `data` is, byte for byte, what was written at `position`.
   * @param {number} position
   * @param {Uint8Array} data
   */
  assertIs(position, data) {
    if (data.length === this.bytes && this.at(position).equals(data)) return
    throw new Error(`entry ${position} read back wrong: ${data.length} bytes, ${this.bytes} were written`)
  }
}
