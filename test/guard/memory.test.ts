import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { runNode } from '../helpers/process.js'
import { assertBuildIsFresh, fromRoot } from '../helpers/project.js'

beforeAll(assertBuildIsFresh)

it('following a log takes memory that grows neither with what is written nor much with the readers', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'walrus-memory-'))
  try {
    const program = [fromRoot('test/guard/memory.mjs'), fromRoot('dist/index.js'), join(directory, 'log')]
    const { ended, output } = await runNode(['--expose-gc', ...program], { cwd: directory, timeoutMs: 110_000 })
    expect(ended, output).toBe(0)
    const figures = JSON.parse(output) as Record<string, number>
    const entries = (256 << 20) / 256
    expect(figures).toMatchObject({ delivered: entries, replayed: entries })
    // 75 to 95 MB on Node.js 20 when this was written; 300 when every reader had entries of its own.
    expect(figures['peakMb']! - figures['startMb']!, output).toBeLessThan(170)
    expect(figures['peakMb']! - figures['afterFirstMb']!, output).toBeLessThan(60)
    expect(figures['bytesPerParked'], output).toBeLessThan(4000)
    expect(figures['bytesPerSlow'], output).toBeLessThan(16_000)
  } finally {
    rmSync(directory, { recursive: true })
  }
}, 120_000)
