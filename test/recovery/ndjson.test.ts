import { expect, it } from 'vitest'
import { text } from '../../src/codec/encoding.js'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import { openWal } from '../../src/open.js'

it('recovers a log of text whose last proven commit is longer than a page', async () => {
  const fs = new SimulatedFileSystem()
  const wal = await openWal('/log', { fileSystem: fs, format: 'ndjson', encoding: text() })
  for (const letter of ['a', 'b', 'c']) await wal.append(letter.repeat(6000))
  const reopened = await openWal('/log', { fileSystem: fs.crash({ seed: 1 }), encoding: text() })
  const read: string[] = []
  for await (const { data } of reopened.replay()) read.push(data[0]!)
  expect(read).toEqual(['a', 'b', 'c'])
})
