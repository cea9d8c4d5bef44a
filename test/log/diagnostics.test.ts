import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, it } from 'vitest'
import { runNode } from '../helpers/process.js'
import { assertBuildIsFresh, fromRoot } from '../helpers/project.js'

beforeAll(assertBuildIsFresh)

it('a subscriber of a diagnostics channel hears everything, whatever the garbage collector does', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'walrus-diagnostics-'))
  try {
    const program = [fromRoot('test/log/diagnostics.mjs'), fromRoot('dist/index.js'), directory]
    const { ended, output } = await runNode(['--expose-gc', ...program], { cwd: directory, timeoutMs: 30_000 })
    expect(ended, output).toBe(0)
    expect(output.trim()).toBe('5')
  } finally {
    rmSync(directory, { recursive: true })
  }
})
