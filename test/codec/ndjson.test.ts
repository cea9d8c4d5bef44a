import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BinaryFormat } from '../../src/codec/binary.js'
import { allocateMemory, EntryPositions, startScan } from '../../src/codec/memory.js'
import { NdjsonFormat } from '../../src/codec/ndjson.js'
import { json, openWal } from '../../src/index.js'
import { SimulatedFileSystem } from '../../src/testing.js'
import type { Wal } from '../../src/types.js'
import { until } from '../helpers/waiting.js'

/** Of a segment that takes no entry above 3000 bytes. */
const SCAN = { binding: 0, maxEntryBytes: 3000, index: 1, previousCrc: undefined }

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
        const fileSystem = new SimulatedFileSystem()
        const wal = await openWal('/log', { fileSystem, format: 'ndjson', segmentMaxBytes: 3000 })
        await wal.appendBatch(payloads.slice(0, 3))
        await Promise.all(payloads.slice(3).map(data => wal.append(data, { term: 7 })))
        await wal.close()
        const again = await openWal('/log', { fileSystem })
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

  it('reads no further than the longest line where something else stands', () => {
    const format = new NdjsonFormat('00112233445566778899aabbccddeeff')
    for (const filling of ['x', '\0', '\n', '{']) {
      const memory = allocateMemory(8192)
      memory.bytes.fill(filling)
      const state = startScan({ ...SCAN, offset: 1000, limit: 2 ** 29 })
      const stop = format.scan({ ...memory, start: 1000, length: 8192 }, state, new EntryPositions())
      expect([filling, stop]).toEqual([
        filling,
        { kind: 'bad', offset: 1000, reason: 'a line that is no entry', blank: false },
      ])
    }
  })

  it('asks for more where a line may still end', () => {
    const format = new NdjsonFormat('00112233445566778899aabbccddeeff')
    const memory = allocateMemory(1024)
    memory.bytes.fill('{')
    const state = startScan({ ...SCAN, offset: 1000, limit: 2 ** 29 })
    const stop = format.scan({ ...memory, start: 1000, length: 1024 }, state, new EntryPositions())
    expect(stop).toMatchObject({ kind: 'more' })
  })

  it('refuses limits that its offsets cannot hold, before anything is created', async () => {
    const opening = openWal(join(directory, 'new'), { format: 'ndjson', segmentMaxBytes: 2 ** 30 })
    await expect(opening).rejects.toMatchObject({ code: 'WAL_INVALID_OPTION' })
  })
})

/** The lines of a text that are there to their end. */
const wholeLines = (text: string) => text.split('\n').slice(0, -1)
const parsed = (text: string) => wholeLines(text).map(line => JSON.parse(line) as { index?: number; data?: unknown })

/** Appends one entry after the other, alone and in batches, long and short, until it is told to stop. */
async function write(wal: Wal<unknown>, isDone: () => boolean): Promise<void> {
  while (!isDone()) {
    await wal.append({ n: wal.lastIndex + 1, filling: 'x'.repeat((wal.lastIndex * 97) % 5000) })
    await wal.appendBatch([1, 'two', [3]])
  }
}

describe('the active segment of an ndjson log, while its writer writes', () => {
  it('is whole lines of JSON at any moment, but for the last', async () => {
    await using wal = await openWal(directory, { format: 'ndjson', encoding: json<unknown>() })
    const path = wal.segments()[0]!.path
    let isDone = false
    const writing = write(wal, () => wal.lastIndex >= 100).finally(() => {
      isDone = true
    })
    let before = 0
    let reads = 0
    for (; !isDone; reads++) {
      const indexes = parsed(await readFile(path, 'utf8'))
        .slice(1)
        .map(({ index }) => index)
      expect(indexes).toEqual(indexes.map((_, i) => i + 1))
      expect(indexes.length).toBeGreaterThanOrEqual(before)
      before = indexes.length
    }
    await writing
    expect(reads).toBeGreaterThan(10)
    expect(before).toBeGreaterThan(10)
  })

  it.runIf(process.platform !== 'win32')('can be followed with tail -f', async () => {
    await using wal = await openWal(directory, { format: 'ndjson', encoding: json<unknown>() })
    const tail = spawn('tail', ['-n', '+2', '-f', wal.segments()[0]!.path], { stdio: ['ignore', 'pipe', 'inherit'] })
    let seen = ''
    tail.stdout.setEncoding('utf8').on('data', (text: string) => {
      seen += text
    })
    await write(wal, () => wal.lastIndex >= 100)
    await until(() => wholeLines(seen).length >= wal.lastIndex)
    tail.kill()
    const wanted = (await wal.getRange(1, wal.lastIndex)).map(({ index, data }) => ({ index, data }))
    expect(parsed(seen).map(({ index, data }) => ({ index, data }))).toEqual(wanted)
  })
})
