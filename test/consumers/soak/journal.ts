import { appendFileSync, existsSync, readFileSync } from 'node:fs'

/** What one handler was given, line by line. A line that was written survives the process. */
export class Journal {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  given(indexes: readonly number[]): void {
    if (indexes.length > 0) appendFileSync(this.#path, `${indexes.join(' ')}\n`)
  }

  /** From here on entries may come again: the process has started, or the handler has failed. */
  mayComeAgain(): void {
    appendFileSync(this.#path, 'again\n')
  }
}

/** Every entry that `belongs`, in order, none left out, and again only where that was to be expected. */
export function checkJournal(path: string, belongs: (index: number) => boolean): { last: number; given: number } {
  const next = (index: number) => {
    let following = index + 1
    while (!belongs(following)) following++
    return following
  }
  let last = 0
  let before = 0
  let given = 0
  for (const line of existsSync(path) ? readFileSync(path, 'utf8').split('\n') : []) {
    if (line === 'again') before = 0
    else if (line !== '') {
      for (const index of line.split(' ').map(Number)) {
        given++
        if (!belongs(index)) throw new Error(`${path}: entry ${index} was given though the filter refuses it`)
        if (index > next(last)) throw new Error(`${path}: entry ${index} came after ${last}: some were left out`)
        if (before !== 0 && index !== next(before)) throw new Error(`${path}: entry ${index} came after ${before}`)
        before = index
        last = Math.max(last, index)
      }
    }
  }
  return { last, given }
}
