import { Random } from './random.js'

/**
 * Decides what of the unsynced a power cut leaves. Independent coins alone would hardly ever give the tidy outcomes that real
 * disks give most of the time, so a seed first picks a style: 0 nothing survives, 1 everything does, any other one of the
 * mixed styles below.
 */
export class Survival {
  readonly random: Random
  readonly #style: Style

  /** `unsynced`: the numbers of the calls that are not durable, rising. */
  constructor(seed: number, unsynced: readonly number[]) {
    this.random = new Random(seed)
    this.#style = pickStyle(seed, this.random, unsynced)
  }

  /** Whether a change of names that was made as call number `sequence` survives, as far as it alone is concerned. */
  name(sequence: number): boolean {
    return this.#survives(sequence)
  }

  /** A sector, or a size, was changed by these calls in order: the number of them the disk has seen. */
  versions(sequences: readonly number[]): number {
    let seen = sequences.length
    // Write-back takes the sector as it is at some moment, so what survives is a prefix of its changes.
    while (seen > 0 && !this.#survives(sequences[seen - 1] as number)) seen--
    return seen
  }

  #survives(sequence: number): boolean {
    const style = this.#style
    switch (style.kind) {
      case 'none':
        return false
      case 'all':
        return true
      case 'coins':
        return this.random.chance(style.probability)
      case 'prefix':
        return sequence === style.end ? this.random.chance(0.5) : sequence < style.end
      case 'all-but-one':
        return sequence !== style.lost || this.random.chance(0.5)
      case 'only-one':
        return sequence === style.kept && this.random.chance(0.8)
    }
  }
}

type Style =
  | { kind: 'none' }
  | { kind: 'all' }
  /** Every sector and name for itself. */
  | { kind: 'coins'; probability: number }
  /** In the order of the calls, up to one that is torn. */
  | { kind: 'prefix'; end: number }
  /** One call is torn or lost, everything before and after it is there. */
  | { kind: 'all-but-one'; lost: number }
  /** Nothing but one call got through: the strongest reordering. */
  | { kind: 'only-one'; kept: number }

const PROBABILITIES = [0.5, 0.5, 0.1, 0.9, 0.97]

function pickStyle(seed: number, random: Random, unsynced: readonly number[]): Style {
  if (seed === 0) return { kind: 'none' }
  if (seed === 1) return { kind: 'all' }
  const sequence = unsynced[random.below(unsynced.length)] ?? 0
  switch (random.below(6)) {
    case 0:
      return { kind: 'prefix', end: sequence }
    case 1:
      return { kind: 'all-but-one', lost: sequence }
    case 2:
      return { kind: 'only-one', kept: sequence }
    default:
      return { kind: 'coins', probability: PROBABILITIES[random.below(PROBABILITIES.length)] as number }
  }
}
