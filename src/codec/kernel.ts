import { KERNEL_BASE64 } from './kernel-binary.js'
import { type Memory, viewMemory } from './memory.js'

/** What is used of the global that neither ES2023 nor the types of Node.js 20 declare. */
declare const WebAssembly: {
  Memory: new (limits: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer }
  Module: new (binary: Uint8Array) => object
  Instance: new (module: object, imports: object) => { readonly exports: object }
}

/** The checksum loops in WebAssembly, and the one memory they work in: all logs of a thread share both. */
export interface Kernel {
  crc(address: number, length: number, seed: number): number
  indexedCrc(address: number, length: number, seed: number, index: number): number
  bodyCrc(address: number, end: number): number
  scan(
    address: number,
    end: number,
    base: number,
    seed: number,
    index: number,
    count: number,
    maxBytes: number,
    body: number,
    slots: number,
  ): number
  timeRange(base: number, count: number, slots: number): void
  /** Where `timeRange` leaves the least and the largest timestamp. */
  readonly times: Float64Array
  /** Where `scan` leaves what it found: stop, status, need, body CRC; slots, stop and body CRC of the last whole batch. */
  readonly result: Int32Array
  /** Room for what is to be scanned. */
  readonly stage: Memory
  /** Where `scan` writes slots, at most `maxSlots` of them. */
  readonly slots: Int32Array
  /** Scratch of `scan` and `bodyCrc`, at HEADS_AT: the first 8 bytes of entries are gathered there. */
  readonly heads: Int32Array
  /** Memory for commits, handed out once each. All of it begins at a page. */
  readonly arenas: Memory[]
  readonly bounce: Memory
}

/** Status words of `scan`. */
export const SCAN_DONE = 0
export const SCAN_MORE = 1
export const SCAN_BAD = 2

export const ARENA_BYTES = (1 << 20) + 2 * 4096
const ARENAS = 10
const PAGE_BYTES = 65536
const RESULT_AT = 512
const SLOTS_AT = 16384
export const HEADS_AT = 32768
const HEADS_BYTES = 8 * 4096
const SLOTS_BYTES = 4 * 4096
/** The first page holds the kernel's own: tables, results, slots, and behind them what `scan` gathers. */
const STAGE_AT = PAGE_BYTES
const STAGE_BYTES = (1 << 20) + 65536
const ARENAS_AT = STAGE_AT + STAGE_BYTES
const BOUNCE_AT = ARENAS_AT + ARENAS * ARENA_BYTES
const BOUNCE_BYTES = ARENA_BYTES
/** The checksum loop loads a few bytes behind what it checks. */
const BEHIND_BYTES = 8
const PAGES = Math.ceil((BOUNCE_AT + BOUNCE_BYTES + BEHIND_BYTES) / PAGE_BYTES)

/**
 * The kernel; undefined where a WebAssembly memory cannot be had (each reserves gigabytes of address space, which a limit on
 * virtual memory forbids), or a machine has no vector instructions. Everything then works by the loops in JavaScript, several
 * times slower.
 */
export const kernel: Kernel | undefined = instantiate()

type Exports = Pick<Kernel, 'crc' | 'indexedCrc' | 'bodyCrc' | 'scan' | 'timeRange'> & { init(): void }

function instantiate(): Kernel | undefined {
  let memory: { readonly buffer: ArrayBuffer }
  let module: object
  try {
    memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES })
    module = new WebAssembly.Module(Buffer.from(KERNEL_BASE64, 'base64'))
  } catch {
    return undefined
  }
  const { exports } = new WebAssembly.Instance(module, { env: { memory } })
  const { init, crc, indexedCrc, bodyCrc, scan, timeRange } = exports as unknown as Exports
  init()
  const { buffer } = memory
  return {
    crc,
    indexedCrc,
    bodyCrc,
    scan,
    timeRange,
    times: new Float64Array(buffer, RESULT_AT + 32, 2),
    result: new Int32Array(buffer, RESULT_AT, 7),
    stage: viewMemory(Buffer.from(buffer, STAGE_AT, STAGE_BYTES), STAGE_AT),
    slots: new Int32Array(buffer, SLOTS_AT, SLOTS_BYTES / 4),
    heads: new Int32Array(buffer, HEADS_AT, HEADS_BYTES / 4),
    arenas: Array.from({ length: ARENAS }, (_, i) => {
      const address = ARENAS_AT + i * ARENA_BYTES
      return viewMemory(Buffer.from(buffer, address, ARENA_BYTES), address)
    }),
    bounce: viewMemory(Buffer.from(buffer, BOUNCE_AT, BOUNCE_BYTES), BOUNCE_AT),
  }
}
