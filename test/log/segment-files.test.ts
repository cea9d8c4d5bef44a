import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openWal } from '../../src/index.js'

const canCount = process.platform === 'linux'
if (!canCount) console.log('Open descriptors are counted on Linux only.')

it.runIf(canCount)('a loop of blocking gets over many segments keeps a bounded number of files open', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'walrus-files-'))
  const wal = await openWal(directory, { sync: 'never', rotation: { maxEntries: 1 } })
  for (let i = 0; i < 200; i++) wal.submit(`entry ${i}`)
  await wal.sync()
  const before = readdirSync('/proc/self/fd').length
  for (let round = 0; round < 3; round++) for (let index = 1; index <= 200; index++) wal.getSync(index)
  const opened = readdirSync('/proc/self/fd').length - before
  await wal.close()
  rmSync(directory, { recursive: true })
  expect(opened).toBeLessThan(135)
})
