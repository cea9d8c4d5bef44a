import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs'

const kinds = ['opened', 'attempted', 'acknowledged', 'cutting', 'cut'] as const
type Kind = (typeof kinds)[number]

/** What a writer did in one round, as far as it came. Indexes; 0 where nothing of the kind happened. */
export type Deeds = Record<Kind, number>

const RECORD_BYTES = 24

/**
 * The writer's notes beside the log: what it is about to do and what it was told is done. Each is one write to a file, and so
 * outlives the process that is killed right after it.
 */
export class Ledger {
  readonly #fd: number
  readonly #round: number

  constructor(path: string, round: number) {
    this.#fd = openSync(path, 'a')
    this.#round = round
  }

  note(kind: Kind, index: number): void {
    const record = Buffer.from(Float64Array.of(this.#round, kinds.indexOf(kind), index).buffer)
    if (writeSync(this.#fd, record) !== RECORD_BYTES) throw new Error('the ledger took half a record')
  }

  close(): void {
    closeSync(this.#fd)
  }
}

/** The deeds of every round that came as far as opening the log; of each kind the highest index. */
export function readLedger(path: string): Map<number, Deeds> {
  const rounds = new Map<number, Deeds>()
  if (!existsSync(path)) return rounds
  const bytes = readFileSync(path)
  if (bytes.length % RECORD_BYTES !== 0) throw new Error(`${path} ends in half a record`)
  const numbers = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  for (let i = 0; i < numbers.length; i += 3) {
    const [round, kind, index] = numbers.subarray(i, i + 3) as unknown as [number, number, number]
    const deeds = rounds.get(round) ?? { opened: 0, attempted: 0, acknowledged: 0, cutting: 0, cut: 0 }
    deeds[kinds[kind]!] = Math.max(deeds[kinds[kind]!], index)
    rounds.set(round, deeds)
  }
  return rounds
}
