// @ts-check
// What a peer offers to the bodies of the benchmark. A peer leaves out what it cannot do; positions count from 0.

/**
 * How safe an entry is once the peer has acknowledged it:
 *   power cut      it was flushed to stable storage before the acknowledgement
 *   process crash  the operating system has it; a power cut may take it
 *   nothing        it may still lie in the memory of the process
 * @typedef {'power cut' | 'process crash' | 'nothing'} Survives
 */

/**
 * @typedef {object} PeerLog
 * @property {Survives} survives what an acknowledged entry survives
 * @property {string} options the settings this log was opened with, for the report
 * @property {(data: Buffer) => unknown} [append] acknowledges when the returned promise resolves (or at return)
 * @property {(data: Buffer[]) => unknown} [batch] all or none, acknowledged like `append`
 * @property {(data: Buffer) => void} [submit] the cheapest way in, acknowledged by `settle`
 * @property {() => Promise<unknown> | undefined} [room] a promise to wait for before the next `submit`, if any
 * @property {() => unknown} [settle] resolves when everything submitted is acknowledged
 * @property {() => import('node:stream').Writable} [writable] the peer's own stream
 * @property {(visit: (data: Uint8Array) => void, limit: number) => unknown} [scan] entries in order, `limit` at most
 * @property {(visit: (data: Uint8Array) => void, limit: number) => unknown} [scanChunks] the same, by chunks
 * @property {(from: number, to: number, visit: (data: Uint8Array) => void) => unknown} [range] entries from..to-1
 * @property {(visit: (data: Uint8Array) => void, signal: AbortSignal) => Promise<unknown>} [tail] live, from now on
 * @property {(position: number) => Promise<Uint8Array>} [get]
 * @property {(position: number) => Uint8Array} [getSync]
 * @property {(position: number) => Uint8Array} [getView] a view that the next call may overwrite
 * @property {() => unknown} [rotate] seals the active segment
 * @property {() => number | Promise<number>} count entries in the log
 * @property {() => unknown} close
 */

/** @typedef {Record<string, any>} Settings */
/** @typedef {(directory: string, settings: Settings) => Promise<PeerLog>} OpenPeer */

/** Thrown by a peer that cannot run here; its message is printed instead of a figure. */
export class LeftOut extends Error {}

/** @type {Record<string, () => Promise<{ open: OpenPeer, version: () => string }>>} */
export const PEERS = {
  walrus: () => import('./walrus.mjs'),
  lmdb: () => import('./lmdb.mjs'),
  sqlite: () => import('./sqlite.mjs'),
  level: () => import('./level.mjs'),
  aaol: () => import('./aaol.mjs'),
  hypercore: () => import('./hypercore.mjs'),
  raw: () => import('./raw.mjs'),
}
