import { describe, expect, test } from 'vitest'
import { BLOCK_PAYLOAD_OFFSET, sealBlock } from '../../src/codec/block.js'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import {
  readSlots,
  TWO_SLOT_FILE_BYTES,
  TWO_SLOT_PAYLOAD_MAX_BYTES,
  TwoSlotFile,
} from '../../src/file-system/two-slot-file.js'

const PATH = '/dir/value'
const MAGIC = 'WALTEST1'
const SEEDS = 200

const payload = (text: string) => Buffer.from(text)

async function emptyDirectory(seed = 0): Promise<SimulatedFileSystem> {
  const fs = new SimulatedFileSystem({ seed })
  await fs.createDirectory('/dir')
  await fs.syncDirectory('/')
  return fs
}

/** A published file, its name durable. */
async function published(
  first: string | Buffer = 'value 1',
  diskSeed = 0,
): Promise<{ fs: SimulatedFileSystem; file: TwoSlotFile }> {
  const fs = await emptyDirectory(diskSeed)
  const file = await TwoSlotFile.publish(fs, PATH, MAGIC, typeof first === 'string' ? payload(first) : first)
  await fs.syncDirectory('/dir')
  return { fs, file }
}

async function valueIn(fs: SimulatedFileSystem): Promise<string> {
  const content = await TwoSlotFile.read(fs, PATH, MAGIC)
  return content.kind === 'ok' ? Buffer.from(content.payload).toString() : content.kind
}

async function opened(fs: SimulatedFileSystem): Promise<TwoSlotFile> {
  const opening = await TwoSlotFile.open(fs, PATH, MAGIC)
  if (opening.kind !== 'ok') throw new Error(`expected a value, got ${opening.kind}`)
  return opening.file
}

/** A payload that reaches over all sectors of its slot, so that a torn slot shows. */
function wide(text: string): Buffer {
  return Buffer.alloc(TWO_SLOT_PAYLOAD_MAX_BYTES, `${text} `)
}

async function wideValueIn(fs: SimulatedFileSystem): Promise<string> {
  return (await valueIn(fs)).split(' ', 1)[0] as string
}

/** Damages one byte of a slot's payload. */
function rot(fs: SimulatedFileSystem, slot: number): void {
  const bytes = fs.contents(PATH)
  bytes[slot * 4096 + 60]! ^= 1
  fs.place(PATH, bytes)
}

describe('a two-slot file', () => {
  test('holds the value it was created with, in full size', async () => {
    const { fs, file } = await published()
    expect(await valueIn(fs)).toBe('value 1')
    expect(await fs.stat(PATH)).toEqual({ kind: 'file', size: TWO_SLOT_FILE_BYTES })
    expect(await fs.list('/dir')).toEqual(['value'])
    expect(file.path).toBe(PATH)
  })

  test('holds the last value written, in the same process and the next', async () => {
    const { fs, file } = await published()
    for (let i = 2; i <= 5; i++) {
      await file.write(payload(`value ${i}`), { sync: true })
      expect(await valueIn(fs)).toBe(`value ${i}`)
    }
    await file.close()
    const next = await opened(fs)
    await next.write(payload('value 6'), { sync: true })
    await next.write(payload(''), { sync: true, both: true })
    expect(await valueIn(fs)).toBe('')
  })

  test('takes effect in the order of the calls, with the payload of the call', async () => {
    const { fs, file } = await published()
    const buffer = payload('mine')
    const first = file.write(buffer, { sync: false })
    buffer.fill('x')
    await first
    expect(await valueIn(fs)).toBe('mine')
    const writes = [0, 1, 2, 3, 4].map(i => file.write(payload(`${i}`), { sync: i % 2 === 0, both: i === 3 }))
    await file.close()
    await Promise.all(writes)
    expect(await valueIn(fs)).toBe('4')
  })

  test('holds up to its limit and refuses more', async () => {
    const { fs, file } = await published()
    const largest = Buffer.alloc(TWO_SLOT_PAYLOAD_MAX_BYTES, 'x')
    await file.write(largest, { sync: true })
    expect(await valueIn(fs)).toBe(largest.toString())
    const tooLarge = Buffer.alloc(TWO_SLOT_PAYLOAD_MAX_BYTES + 1)
    await expect(file.write(tooLarge, { sync: true })).rejects.toThrow(RangeError)
    expect(await valueIn(fs)).toBe(largest.toString())
    await expect(TwoSlotFile.create(fs, '/dir/b', MAGIC, tooLarge, { sync: true })).rejects.toThrow(RangeError)
    expect(await fs.list('/dir')).toEqual(['value'])
  })

  test('one rotten slot gives the value in the other', async () => {
    const { fs, file } = await published('old')
    await file.write(payload('new'), { sync: true })
    rot(fs, 1)
    expect(await valueIn(fs)).toBe('new')
    const bytes = fs.contents(PATH)
    bytes[1 * 4096 + 60]! ^= 1
    bytes[0 * 4096 + 60]! ^= 1
    fs.place(PATH, bytes)
    expect(await valueIn(fs)).toBe('old')
  })

  test('after a write of both slots one rotten slot loses nothing', async () => {
    for (const slot of [0, 1]) {
      const { fs, file } = await published('old')
      await file.write(payload('new'), { sync: true, both: true })
      rot(fs, slot)
      expect(await valueIn(fs)).toBe('new')
    }
  })

  test('a write after one slot has rotted repairs that slot and spares the good one', async () => {
    for (const slot of [0, 1]) {
      const { fs } = await published('old')
      rot(fs, slot)
      const file = await opened(fs)
      await file.write(payload('new'), { sync: true })
      rot(fs, slot)
      expect(await valueIn(fs)).toBe('old')
    }
  })

  test('tells missing, corrupt and of another kind apart', async () => {
    const { fs } = await published()
    expect(await TwoSlotFile.open(fs, '/dir/none', MAGIC)).toEqual({ kind: 'missing' })
    expect(await TwoSlotFile.read(fs, '/dir/none', MAGIC)).toEqual({ kind: 'missing' })
    expect(await TwoSlotFile.read(fs, PATH, 'WALTEST2')).toEqual({ kind: 'corrupt' })
    rot(fs, 0)
    rot(fs, 1)
    expect(await TwoSlotFile.open(fs, PATH, MAGIC)).toEqual({ kind: 'corrupt' })
    for (const size of [0, 4095, 8192]) {
      fs.place(PATH, Buffer.alloc(size))
      expect(await TwoSlotFile.read(fs, PATH, MAGIC)).toEqual({ kind: 'corrupt' })
    }
  })

  test('a length beyond the slot is corruption, even under a good checksum', async () => {
    const { fs } = await published()
    const bytes = fs.contents(PATH)
    for (const slot of [0, 4096]) {
      bytes.writeUInt32LE(TWO_SLOT_PAYLOAD_MAX_BYTES + 1, slot + BLOCK_PAYLOAD_OFFSET + 8)
      sealBlock(bytes.subarray(slot, slot + 4096), MAGIC)
    }
    fs.place(PATH, bytes)
    expect(await TwoSlotFile.read(fs, PATH, MAGIC)).toEqual({ kind: 'corrupt' })
  })

  test('a newer slot of a later version is unsupported, an older one does not matter', async () => {
    const { fs, file } = await published('old')
    await file.write(payload('new'), { sync: true })
    const bytes = fs.contents(PATH)
    sealBlock(bytes.subarray(4096), MAGIC, { version: 2 })
    fs.place(PATH, bytes)
    expect(await valueIn(fs)).toBe('new')
    sealBlock(bytes.subarray(0, 4096), MAGIC, { version: 1, incompatible: 4 })
    fs.place(PATH, bytes)
    expect(await TwoSlotFile.open(fs, PATH, MAGIC)).toEqual({ kind: 'unsupported', version: 1, incompatible: 4 })
    // The newest slot of what this version can read has rotted, and the other one it must not touch.
    bytes[60]! ^= 1
    fs.place(PATH, bytes)
    expect(await TwoSlotFile.read(fs, PATH, MAGIC)).toEqual({ kind: 'unsupported', version: 2, incompatible: 0 })
  })

  test('create refuses a name that is taken, publish replaces a tmp that a crash left', async () => {
    const { fs } = await published()
    await expect(TwoSlotFile.create(fs, PATH, MAGIC, payload('x'), { sync: true })).rejects.toMatchObject({
      code: 'EEXIST',
    })
    fs.place('/dir/b.tmp', Buffer.from('half'))
    await (await TwoSlotFile.publish(fs, '/dir/b', MAGIC, payload('b'))).close()
    expect(await TwoSlotFile.read(fs, '/dir/b', MAGIC)).toMatchObject({ kind: 'ok' })
    expect((await fs.list('/dir')).sort()).toEqual(['b', 'value'])
  })

  test('an error of the disk comes through, and no handle stays open', async () => {
    const { fs, file } = await published()
    await file.close()
    fs.failNth(1, { filter: ({ kind }) => kind === 'read', error: 'EIO' })
    await expect(TwoSlotFile.open(fs, PATH, MAGIC)).rejects.toMatchObject({ code: 'EIO' })
    fs.failNth(1, { filter: ({ kind }) => kind === 'write', error: 'ENOSPC' })
    await expect(TwoSlotFile.create(fs, '/dir/b', MAGIC, payload('b'), { sync: true })).rejects.toMatchObject({
      code: 'ENOSPC',
    })
    await fs.unlink('/dir/b')
    await fs.unlink(PATH)
    // Only an open handle would keep their space.
    expect(fs.usedBytes).toBe(0)
  })

  test('a write that fails leaves the value before, and the next one succeeds', async () => {
    const { fs, file } = await published('old')
    fs.failNth(1, { filter: ({ kind }) => kind === 'write' })
    await expect(file.write(payload('lost'), { sync: true })).rejects.toMatchObject({ code: 'EIO' })
    expect(await valueIn(fs)).toBe('old')
    await file.write(payload('new'), { sync: true })
    expect(await valueIn(fs.crash({ seed: 0 }))).toBe('new')
  })

  test('short writes and short reads are carried on', async () => {
    const { fs, file } = await published('old')
    fs.failNth(1, { filter: ({ kind }) => kind === 'write', shortWrite: 1000 })
    await file.write(payload('new'), { sync: true })
    fs.failNth(1, { filter: ({ kind }) => kind === 'read', shortRead: 50 })
    expect(await valueIn(fs)).toBe('new')
  })

  test('a reader beside a writer looks a second time at a slot that seems torn', async () => {
    const { fs, file } = await published('old')
    await file.write(payload('newer'), { sync: true })
    const whole = fs.contents(PATH)
    rot(fs, 0)
    const reader = await fs.open(PATH, 'read')
    const read = reader.read.bind(reader)
    let reads = 0
    reader.read = async (...request) => {
      const count = await read(...request)
      if (++reads === 1) fs.place(PATH, whole)
      return count
    }
    expect(await readSlots(reader, MAGIC)).toEqual({ kind: 'ok', payload: new Uint8Array(payload('newer')) })
  })
})

describe('a two-slot file after a power cut', () => {
  /** Runs the scene once, cutting the power in the midst of each of its operations with many seeds. */
  async function everyCut(
    scene: (fs: SimulatedFileSystem, acknowledge: (value: string) => void) => Promise<void>,
    check: (after: SimulatedFileSystem, acknowledged: string) => Promise<void>,
  ): Promise<void> {
    const { fs, file } = await published(wide('0'))
    await file.close()
    const states: { after: SimulatedFileSystem; acknowledged: string }[] = []
    let acknowledged = '0'
    const cut = () => {
      for (let seed = 0; seed < SEEDS; seed++) states.push({ after: fs.crashImage({ seed }), acknowledged })
    }
    fs.onOperation = cut
    await scene(fs, value => {
      acknowledged = value
    })
    cut()
    expect(states.length).toBeGreaterThan(SEEDS)
    for (const state of states) await check(state.after, state.acknowledged)
  }

  test('holds the last synced value or the one being written', async () => {
    const seen = new Set<number>()
    await everyCut(
      async (fs, acknowledge) => {
        const file = await opened(fs)
        for (let i = 1; i <= 4; i++) {
          await file.write(wide(`${i}`), { sync: true, both: i === 3 })
          acknowledge(`${i}`)
        }
      },
      async (after, acknowledged) => {
        const value = await wideValueIn(after)
        seen.add(Number(value) - Number(acknowledged))
      },
    )
    expect([...seen].sort()).toEqual([0, 1])
  })

  test('unsynced writes never cost the last synced value', async () => {
    await everyCut(
      async (fs, acknowledge) => {
        const file = await opened(fs)
        for (let i = 1; i <= 8; i++) {
          await file.write(wide(`${i}`), { sync: i % 4 === 0 })
          if (i % 4 === 0) acknowledge(`${i}`)
        }
      },
      async (after, acknowledged) => {
        expect(Number(await wideValueIn(after))).toBeGreaterThanOrEqual(Number(acknowledged))
      },
    )
  })

  test('a value nobody knows to be on disk is proven before the older one is given up', async () => {
    for (let diskSeed = 0; diskSeed < 20; diskSeed++) {
      const { fs, file } = await published(wide('old'), diskSeed)
      await file.write(wide('shown'), { sync: false })
      fs.failWriteBack(PATH, { reported: 'nobody' })
      const restarted = fs.kill()
      expect(await wideValueIn(restarted)).toBe('shown')
      const cuts: SimulatedFileSystem[] = []
      restarted.onOperation = () => {
        for (let seed = 0; seed < 20; seed++) cuts.push(restarted.crashImage({ seed }))
      }
      const next = await opened(restarted)
      await next.write(wide('new'), { sync: true })
      for (const after of cuts) expect(['old', 'shown', 'new']).toContain(await wideValueIn(after))
      expect(await wideValueIn(restarted.crash({ seed: 0 }))).toBe('new')
    }
  })

  test('a write of both slots is durable whatever it is asked, an unsynced one costs no sync', async () => {
    const { fs, file } = await published(wide('old'))
    let syncs = 0
    fs.onOperation = ({ kind }) => {
      if (kind === 'sync') syncs++
    }
    await file.write(wide('new'), { sync: false })
    expect(syncs).toBe(0)
    expect(await wideValueIn(fs.crashImage({ seed: 0 }))).toBe('old')
    await file.write(wide('newest'), { sync: false, both: true })
    expect(syncs).toBe(2)
    expect(await wideValueIn(fs.crash({ seed: 0 }))).toBe('newest')
  })

  test('publish leaves the whole file under its name or none', async () => {
    const fs = await emptyDirectory()
    const cuts: SimulatedFileSystem[] = []
    fs.onOperation = () => {
      for (let seed = 0; seed < SEEDS; seed++) cuts.push(fs.crashImage({ seed }))
    }
    await TwoSlotFile.publish(fs, PATH, MAGIC, wide('whole'))
    await fs.syncDirectory('/dir')
    const seen = new Set<string>()
    for (const after of cuts) seen.add(await wideValueIn(after))
    expect([...seen].sort()).toEqual(['missing', 'whole'])
    expect(await wideValueIn(fs.crash({ seed: 0 }))).toBe('whole')
  })
})
