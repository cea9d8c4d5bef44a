import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { runNode } from '../helpers/process.js'
import { assertBuildIsFresh, fromRoot } from '../helpers/project.js'

interface Figure {
  heap: number
  buffers: number
  collections: number
}

/** Megabytes of young generation: more than the program allocates between two collections that it asks for. */
const YOUNG = 256

/**
 * Most bytes that a call (an entry, where many are read or written at once) may allocate: on the heap, and in buffers outside of it.
 * Half as much again as on Node.js 20 when this was written; other versions differ by less than that.
 */
const MOST: Record<string, { heap: number; buffers: number }> = {
  submit: { heap: 10, buffers: 20 },
  append: { heap: 660, buffers: 20 },
  appendAlone: { heap: 14_500, buffers: 400 },
  appendBatch: { heap: 250, buffers: 55 },
  chunks: { heap: 320, buffers: 530 },
  replay: { heap: 760, buffers: 530 },
  getSync: { heap: 650, buffers: 390 },
}

beforeAll(assertBuildIsFresh)

it('no call allocates much more than it used to, and an append makes one promise', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'walrus-allocations-'))
  try {
    const flags = ['--expose-gc', `--min-semi-space-size=${YOUNG}`, `--max-semi-space-size=${YOUNG}`]
    const program = [fromRoot('test/guard/allocations.mjs'), fromRoot('dist/index.js'), join(directory, 'log')]
    const { ended, output } = await runNode([...flags, ...program], { cwd: directory, timeoutMs: 60_000 })
    expect(ended, output).toBe(0)
    const { promises, ...figures } = JSON.parse(output) as Record<string, Figure> & { promises: number }
    expect(promises).toBeLessThanOrEqual(1)
    expect(Object.keys(figures).sort()).toEqual(Object.keys(MOST).sort())
    for (const [call, { heap, buffers, collections }] of Object.entries<Figure>(figures)) {
      // Had anything been collected meanwhile, the figures would be too low to mean something.
      expect(collections, call).toBe(0)
      expect(heap, `${call}: bytes on the heap; ${output}`).toBeLessThan(MOST[call]!.heap)
      expect(buffers, `${call}: bytes in buffers; ${output}`).toBeLessThan(MOST[call]!.buffers)
    }
  } finally {
    rmSync(directory, { recursive: true })
  }
})
