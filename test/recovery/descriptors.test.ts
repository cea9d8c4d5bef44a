import { describe, expect, it } from 'vitest'
import { text } from '../../src/codec/encoding.js'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import { openWal } from '../../src/open.js'

describe('without a free descriptor', () => {
  it.each(['EMFILE', 'ENFILE'] as const)(
    '(%s) the log goes on in its old segment when it was to rotate',
    async error => {
      const fs = new SimulatedFileSystem()
      const wal = await openWal('/log', { fileSystem: fs, encoding: text(), rotation: { maxEntries: 2 } })
      await wal.append('1')
      fs.failNth(1, { error, sticky: true, filter: ({ kind }) => kind === 'open' || kind === 'create' })
      await wal.append('2')
      await wal.append('3')
      await wal.append('4')
      await wal.rotate().catch(() => undefined)
      await wal.append('5')
      expect(wal.status).toBe('open')
      fs.clearFaults()
      await wal.append('6')
      await wal.append('7')
      expect(wal.segments().length).toBeGreaterThan(1)
      const reopened = await openWal('/log', { fileSystem: fs.crash({ seed: 0 }), encoding: text() })
      const read: string[] = []
      for await (const { data } of reopened.replay()) read.push(data)
      expect(read).toEqual(['1', '2', '3', '4', '5', '6', '7'])
    },
  )
})
