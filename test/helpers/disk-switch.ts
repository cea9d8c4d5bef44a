import type { SimulatedFileSystem, SimulatedOperation } from '../../src/testing.js'

/** Lets what is written to segments pass, wait or fail. */
export class DiskSwitch {
  readonly #fs: SimulatedFileSystem
  #release: () => void = () => undefined

  constructor(fs: SimulatedFileSystem) {
    this.#fs = fs
  }

  set(state: 'ok' | 'held' | 'full' | 'broken'): void {
    this.#fs.clearFaults()
    this.#fs.slow = undefined
    this.#release()
    if (state === 'held') this.#hold()
    if (state === 'full') this.#fs.failNth(1, { error: 'ENOSPC', sticky: true, filter: isSegmentWrite })
    if (state === 'broken') this.#fs.failNth(1, { error: 'EIO', sticky: true, filter: isSegmentWrite })
  }

  #hold(): void {
    const held = new Promise<void>(resolve => {
      this.#release = resolve
    })
    this.#fs.slow = operation => (isSegmentWrite(operation) ? held : undefined)
  }
}

function isSegmentWrite({ kind, path }: SimulatedOperation): boolean {
  return kind === 'write' && path.endsWith('.wal')
}
