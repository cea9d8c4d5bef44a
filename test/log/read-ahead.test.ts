import { afterEach, describe, expect, it } from 'vitest'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import { openWal, type Wal } from '../../src/index.js'
import { WatchedReads } from '../helpers/watched-reads.js'

const MIB = 1 << 20
const ENTRY_BYTES = 1000

type Log = Wal<Buffer, Uint8Array | string>

let wal: Log | undefined
afterEach(() => wal?.close())

/** A log of some MiB of entries that say their index. */
async function openLog(mebibytes: number): Promise<{ wal: Log; watched: WatchedReads }> {
  const watched = new WatchedReads(new SimulatedFileSystem())
  const options = { fileSystem: watched.fileSystem, sync: 'never', segmentMaxBytes: 4 * MIB } as const
  wal = await openWal('/log', options)
  await appendUpTo(wal, Math.ceil((mebibytes * MIB) / ENTRY_BYTES), 'first')
  watched.reads = []
  return { wal, watched }
}

/** In commits of 50 entries. */
async function appendUpTo(log: Log, last: number, text: string): Promise<void> {
  while (log.lastIndex < last) {
    for (let i = 0; i < 50 && log.lastIndex < last; i++) log.submit(contentOf(log.lastIndex + 1, text))
    await log.waitForCommit(log.lastIndex)
  }
}

function contentOf(index: number, text: string): Buffer {
  return Buffer.alloc(ENTRY_BYTES, `${text} ${index} `)
}

/** The chunks `count` times, so that what comes next is being read ahead. */
async function take(chunks: AsyncIterator<readonly { index: number }[]>, count: number): Promise<number> {
  let last = 0
  for (let i = 0; i < count; i++) last = (await chunks.next()).value?.at(-1)?.index ?? last
  return last
}

async function rest(chunks: AsyncIterable<readonly { index: number; data: Buffer }[]>) {
  const seen: { index: number; data: Buffer }[] = []
  for await (const chunk of chunks) seen.push(...chunk)
  return seen
}

describe('a replay reads ahead', () => {
  it('from its second chunk on, and no byte twice but where a window cut a commit', async () => {
    const { wal, watched } = await openLog(8)
    const chunks = wal.replay().chunks()
    await take(chunks, 1)
    expect(watched).toMatchObject({ pending: 0, reads: [{ length: MIB }] })
    watched.hold()
    const last = await take(chunks, 1)
    expect(watched).toMatchObject({ pending: 1, reads: [{}, { length: MIB }] })
    watched.release()
    expect(await rest(chunks)).toHaveLength(wal.lastIndex - last)
    const stored = wal.segments().reduce((sum, { bytes }) => sum + bytes, 0)
    expect(watched.bytes).toBeLessThan(stored + 8 * 70_000)
  })

  it('not beyond what it was asked for', async () => {
    const { wal, watched } = await openLog(4)
    expect(await rest(wal.replay({ to: 900 }).chunks())).toHaveLength(900)
    expect(watched.bytes).toBeLessThanOrEqual(MIB)
  })

  it('into the next segment', async () => {
    const { wal, watched } = await openLog(9)
    const [first] = wal.segments()
    const chunks = wal.replay({ from: first!.lastIndex - 500 }).chunks()
    watched.reads = []
    await take(chunks, 3)
    expect(watched.reads.some(({ position }) => position === 4096)).toBe(true)
    expect((await rest(chunks)).at(-1)?.index).toBe(wal.lastIndex)
  })
})

describe('while a window is read ahead', () => {
  /** A replay that has handed out two chunks, and the read of its next window held up. */
  async function reading() {
    const { wal, watched } = await openLog(8)
    const chunks = wal.replay().chunks()
    await take(chunks, 1)
    watched.hold()
    const last = await take(chunks, 1)
    expect(watched.pending).toBe(1)
    return { wal, watched, chunks, last }
  }

  it('the reader may leave', async () => {
    const { wal, watched, chunks } = await reading()
    await chunks.return?.()
    watched.release()
    expect(await rest(wal.replay().chunks())).toHaveLength(wal.lastIndex)
  })

  it('the log may be closed: the replay fails, and nothing else', async () => {
    const { wal, watched, chunks } = await reading()
    await wal.close()
    await expect(rest(chunks)).rejects.toMatchObject({ code: 'WAL_CLOSED' })
    watched.release()
  })

  it('the end may be cut off and written anew: what was read is not handed out', async () => {
    const { wal, watched, chunks, last } = await reading()
    const end = wal.lastIndex
    const cut = wal.truncateAfter(last + 10)
    watched.release()
    await cut
    await appendUpTo(wal, end, 'second')
    const seen = await rest(chunks)
    expect(seen.map(({ index }) => index)).toEqual(Array.from(seen, (_, i) => last + 1 + i))
    expect(seen.at(-1)?.index).toBe(end)
    for (const { index, data } of seen)
      expect(data.equals(contentOf(index, index <= last + 10 ? 'first' : 'second'))).toBe(true)
  })

  it('its entries may be removed: the replay says so', async () => {
    const { wal, watched, chunks } = await reading()
    await wal.truncateBefore(wal.lastIndex - 10)
    watched.release()
    await expect(rest(chunks)).rejects.toMatchObject({ code: 'WAL_TRUNCATED', lost: 'before' })
  })
})

describe('many slow cursors', () => {
  const COUNT = 200

  it('read little at a time, so that their windows take bounded memory together', async () => {
    const { wal, watched } = await openLog(3)
    const cursors = Array.from({ length: COUNT }, () => wal.replay().chunks())
    for (const cursor of cursors) expect((await cursor.next()).value?.[0]?.index).toBe(1)
    expect(watched.bytes).toBeGreaterThan(30 * MIB)
    expect(watched.bytes).toBeLessThanOrEqual(32 * MIB + COUNT * 65_536)
    // Each is served for all that, and what they let go is there for the next one.
    for (const cursor of cursors.slice(1)) await cursor.return?.()
    expect((await rest(cursors[0]!)).at(-1)?.index).toBe(wal.lastIndex)
    watched.reads = []
    await wal.replay().chunks().next()
    expect(watched.reads).toMatchObject([{ length: MIB }])
  })

  it('give back what they had, however they ended', async () => {
    const { wal, watched } = await openLog(3)
    for (let round = 0; round < 40; round++) {
      const chunks = wal.replay({ to: round % 2 === 0 ? 1500 : wal.lastIndex }).chunks()
      await take(chunks, 3)
      if (round % 4 < 2) await chunks.return?.()
      else await rest(chunks)
    }
    watched.reads = []
    await wal.replay().chunks().next()
    expect(watched.reads).toMatchObject([{ length: MIB }])
  })
})

describe('a get of what was just committed', () => {
  it('reads no file while somebody follows the log', async () => {
    const { wal, watched } = await openLog(1)
    const tail = wal.tail({ from: 'end' })
    const last = wal.lastIndex
    await appendUpTo(wal, last + 20, 'followed')
    const entry = await wal.get(last + 7)
    expect(entry.data.equals(contentOf(last + 7, 'followed'))).toBe(true)
    expect(watched.reads).toEqual([])
    expect((await wal.get(last)).data.equals(contentOf(last, 'first'))).toBe(true)
    expect(watched.reads).not.toEqual([])
    // The data are the caller's own: the tail's are not changed through them.
    entry.data.fill(0)
    for (let i = 0; i < 6; i++) await tail.next()
    expect((await tail.next()).value?.data.equals(contentOf(last + 7, 'followed'))).toBe(true)
    await tail.return?.()
  })
})
