import { describe, expect, it } from 'vitest'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import type { SimulatedOperation } from '../../src/file-system/simulation/operation.js'
import { openWal } from '../../src/open.js'

const open = (fs: SimulatedFileSystem) => openWal('/log', { fileSystem: fs })

describe('an opening that fails', () => {
  it.each([
    ['the mark cannot be made', ({ kind, path }: SimulatedOperation) => kind === 'create' && path === '/log/mark'],
    ['the directory cannot be synced', ({ kind }: SimulatedOperation) => kind === 'syncDirectory'],
  ])('leaves no file open when %s', async (_, filter) => {
    for (let nth = 1; ; nth++) {
      const fs = new SimulatedFileSystem()
      const fault = fs.failNth(nth, { filter })
      const opened = await open(fs).catch(() => undefined)
      await opened?.close()
      if (fault.fired === 0) return
      expect(fs.openFiles).toBe(0)
    }
  })

  it('because the name of the directory was not stored leaves no manifest that hides it', async () => {
    const fs = new SimulatedFileSystem()
    fs.failNth(1, {
      filter: ({ kind, path }) => kind === 'syncDirectory' && path === '/',
      sticky: true,
      harmless: true,
    })
    for (let attempt = 0; attempt < 3; attempt++) await expect(open(fs)).rejects.toMatchObject({ code: 'WAL_IO' })
    fs.clearFaults()
    const wal = await open(fs)
    await wal.append('kept')
    const reopened = await open(fs.crash({ seed: 0 }))
    expect(reopened.lastIndex).toBe(1)
  })
})
