import { describe, expect, it } from 'vitest'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import { openWal, openWith } from '../../src/open.js'
import { ManualClock } from '../helpers/manual-clock.js'

describe('opening after a crash', () => {
  it('gets past an unfinished segment whose temporary name it needs itself', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openWal('/log', { fileSystem: fs })
    await wal.append('kept')
    fs.place('/log/next.tmp', Buffer.from('the beginning of a segment'))
    const reopened = await openWal('/log', { fileSystem: fs.crash({ seed: 0 }) })
    expect(reopened.lastIndex).toBe(1)
  })

  it('gets past an unfinished manifest', async () => {
    const fs = new SimulatedFileSystem()
    await fs.createDirectory('/log')
    await fs.syncDirectory('/')
    fs.place('/log/manifest.tmp', Buffer.from('the beginning of a manifest'))
    const wal = await openWal('/log', { fileSystem: fs })
    expect(await wal.append('first')).toBe(1)
  })
})

describe('a clock', () => {
  it('may be any object: its methods are called on it', async () => {
    const wal = await openWith('/log', { fileSystem: new SimulatedFileSystem() }, new ManualClock())
    expect(await wal.append('first' as never)).toBe(1)
  })
})
