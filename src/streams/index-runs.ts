/**
 * A queue of ascending indexes, kept as runs: entries accepted one after another by one stream mostly have neighbouring indexes, so
 * it stays a few numbers however many entries are on their way.
 */
export class IndexRuns {
  readonly #runs: { first: number; last: number }[] = []

  get isEmpty(): boolean {
    return this.#runs.length === 0
  }

  /** The highest index in it; 0 when it is empty. */
  get last(): number {
    return this.#runs.at(-1)?.last ?? 0
  }

  /** Adds an index above all others. */
  add(index: number): void {
    const newest = this.#runs.at(-1)
    if (newest?.last === index - 1) newest.last = index
    else this.#runs.push({ first: index, last: index })
  }

  /** Removes the lowest index if it is this one. */
  take(index: number): boolean {
    const oldest = this.#runs[0]
    if (oldest?.first !== index) return false
    if (oldest.first++ === oldest.last) this.#runs.shift()
    return true
  }
}
