import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BinaryFormat } from '../../src/codec/binary.js'
import { allocateMemory } from '../../src/codec/memory.js'
import { NdjsonFormat } from '../../src/codec/ndjson.js'
import { json, openWal } from '../../src/index.js'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'walrus-ndjson-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

async function linesOnDisk(): Promise<unknown[]> {
  const names = (await readdir(directory)).filter(name => name.endsWith('.wal')).sort()
  const texts = await Promise.all(names.map(name => readFile(join(directory, name), 'utf8')))
  return texts.flatMap(text => text.trimEnd().split('\n')).map(line => JSON.parse(line) as unknown)
}

describe("format 'ndjson'", () => {
  it('gives any bytes back as they were, also after a reopen', async () => {
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes)),
      fc.json().map(text => Buffer.from(text)),
      fc
        .constantFrom('', ' ', '{}', '{"a":1,"commit":{"first":1,"count":1}}', '"\\n"', '[1,\n2]', '\ufeff1')
        .map(text => Buffer.from(text)),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(payload, { minLength: 1, maxLength: 30 }), async payloads => {
        await rm(directory, { recursive: true, force: true })
        const wal = await openWal(directory, { format: 'ndjson', segmentMaxBytes: 3000 })
        await wal.appendBatch(payloads.slice(0, 3))
        await Promise.all(payloads.slice(3).map(data => wal.append(data, { term: 7 })))
        await wal.close()
        const again = await openWal(directory)
        const read = await again.getRange(1, again.lastIndex)
        await again.close()
        expect(read.map(entry => entry.data)).toEqual(payloads)
      }),
      { numRuns: 40, seed: 20261122 },
    )
  })

  it('is one JSON object per line, inline where the data are JSON and base64 where not', async () => {
    const wal = await openWal(directory, { format: 'ndjson' })
    await wal.appendBatch(['{"a": 1}', 'no json'])
    const [header, inline, coded] = await linesOnDisk()
    expect(header).toMatchObject({ kind: 'walrus-segment', version: 1, format: 'ndjson', firstIndex: 1 })
    expect(inline).toMatchObject({ index: 1, flags: 0, data: { a: 1 } })
    expect(coded).toMatchObject({
      index: 2,
      flags: 1,
      base64: Buffer.from('no json').toString('base64'),
      commit: { first: 1, count: 2 },
    })
    await wal.close()
  })

  it('gives an entry the checksum it has in the binary format of the same log', () => {
    const logId = '00112233445566778899aabbccddeeff'
    const fields = { index: 5, term: 3, timestamp: 1700000000000.5, flags: 3, transactionId: '0123456789abcdef' }
    const checksums = [new BinaryFormat(logId), new NdjsonFormat(logId)].map(format => {
      const memory = allocateMemory(4096)
      const end = format.writeEntry(memory, 0, fields, Buffer.from('some data'))
      return format.readEntry({ ...memory, start: 0, length: end }, 0, 5)?.checksum
    })
    expect(checksums[0]).toBeTypeOf('number')
    expect(checksums[1]).toBe(checksums[0])
  })

  it('keeps the stored format and refuses another', async () => {
    await (await openWal(directory, { format: 'ndjson', encoding: json() })).close()
    await expect(openWal(directory, { format: 'binary', encoding: json() })).rejects.toMatchObject({
      code: 'WAL_MISMATCH',
    })
    await expect(openWal(directory, { io: 'direct', encoding: json() })).rejects.toMatchObject({
      code: 'WAL_INVALID_OPTION',
    })
    const wal = await openWal(directory, { encoding: json() })
    expect(wal.stats().io).toBe('buffered')
    await wal.close()
  })

  it('refuses limits that its offsets cannot hold, before anything is created', async () => {
    const opening = openWal(join(directory, 'new'), { format: 'ndjson', segmentMaxBytes: 2 ** 30 })
    await expect(opening).rejects.toMatchObject({ code: 'WAL_INVALID_OPTION' })
  })
})
