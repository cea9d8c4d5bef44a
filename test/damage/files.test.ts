import { describe, expect, it } from 'vitest'
import { openWal, verifyWal } from '../../src/index.js'
import { SimulatedFileSystem } from '../../src/testing.js'
import { directory, readAll } from '../helpers/small-log.js'
import {
  closedImage,
  type Files,
  filesIn,
  fillThreeSegments,
  fillWithEqualCommits,
  type Image,
  killedImage,
  restore,
  withFile,
} from './image.js'
import { judge, sweep } from './judge.js'

const HEADER_BYTES = 4096
const SECTOR_BYTES = 512
/** A commit of one entry of two bytes. */
const FIRST_COMMIT_BYTES = 48 + 32 + 8

function* cuts(image: Image, path: string, from: number) {
  const bytes = image.files.get(path)!
  for (let length = from; length < bytes.length; length++)
    yield { name: `${path} cut to ${length} bytes`, files: withFile(image.files, path, bytes.subarray(0, length)) }
}

/** Pairs of runs of `size` bytes, in one segment or in two, exchanged. */
function* swaps(image: Image, starts: readonly number[], size: number) {
  const { segments, files } = image
  for (const one of segments)
    for (const other of segments)
      for (const a of starts)
        for (const b of starts)
          if (one < other || (one === other && a < b))
            yield { name: `${one} at ${a} and ${other} at ${b}`, files: swapped(files, [one, a], [other, b], size) }
}

function swapped(files: Files, [one, a]: [string, number], [other, b]: [string, number], size: number): Files {
  const first = Buffer.from(files.get(one)!)
  const second = one === other ? first : Buffer.from(files.get(other)!)
  const kept = Buffer.from(first.subarray(a, a + size))
  first.set(second.subarray(b, b + size), a)
  second.set(kept, b)
  return withFile(withFile(files, one, first), other, second)
}

const nameOf = (id: number, firstIndex: number) =>
  `${directory}/${String(id).padStart(16, '0')}-${String(firstIndex).padStart(16, '0')}.wal`

const steps = (from: number, to: number, step: number) =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => from + i * step)

async function outcomeOf(files: Files, image: Image): Promise<string> {
  const outcome = await judge(files, image)
  return outcome.kind === 'refused' ? `${outcome.error.code} ${outcome.error.kind}` : outcome.kind
}

describe('a file of a closed log is cut', () => {
  it('at any byte: refused', async () => {
    const image = await closedImage()
    for (const path of image.segments) {
      const counts = await sweep(cuts(image, path, HEADER_BYTES - 3), image)
      expect(counts).toMatchObject({ whole: 0, 'left-out': 0 })
    }
  })

  it('manifest and mark at some bytes: refused, or whole by the slot that is left', async () => {
    const image = await closedImage()
    for (const name of ['manifest', 'mark']) {
      const path = `${directory}/${name}`
      const bytes = image.files.get(path)!
      for (const length of [0, 1, 31, 200, 4096, 8191]) {
        const outcome = await outcomeOf(withFile(image.files, path, bytes.subarray(0, length)), image)
        expect(outcome).toBe(name === 'manifest' && length < 4096 ? 'WAL_CORRUPT manifest' : 'whole')
      }
    }
  })
})

describe('the last segment of a killed log is cut', () => {
  it('within its last commit: that one is left out and reported; before it: refused', async () => {
    const image = await killedImage()
    const path = image.segments.at(-1)!
    const secondCommit = HEADER_BYTES + FIRST_COMMIT_BYTES
    const counts = await sweep(cuts(image, path, HEADER_BYTES - 2), image, (outcome, name) => {
      if (outcome.kind === 'whole') throw new Error(name)
      // What lies in the file proves the first commit only through the second one's header.
      if (outcome.kind === 'left-out') expect([5, 6]).toContain(outcome.read)
    })
    expect(counts.refused).toBe(2)
    expect(counts['left-out']).toBe(image.files.get(path)!.length - secondCommit + FIRST_COMMIT_BYTES)
  })

  it('at any byte when the mark says how far it was durable: refused', async () => {
    const image = await killedImage(fillThreeSegments, { withMark: true })
    const path = image.segments.at(-1)!
    const counts = await sweep(cuts(image, path, HEADER_BYTES - 2), image)
    expect(counts).toMatchObject({ whole: 0, 'left-out': 0 })
  })
})

describe('blocks are exchanged', () => {
  it('sectors, in a segment and between segments: the same data or refused', async () => {
    const image = await closedImage(fillWithEqualCommits)
    const starts = steps(HEADER_BYTES, image.infos[0]!.bytes - SECTOR_BYTES + 1, SECTOR_BYTES)
    const counts = await sweep(swaps(image, starts, SECTOR_BYTES), image)
    expect(counts).toMatchObject({ whole: 0, 'left-out': 0 })
    expect(counts.refused).toBeGreaterThan(100)
  })

  it('whole commits of one length, in a segment and between segments: refused', async () => {
    const image = await closedImage(fillWithEqualCommits)
    const length = (image.infos[0]!.bytes - HEADER_BYTES) / 8
    const starts = steps(HEADER_BYTES, image.infos[0]!.bytes, length)
    expect(starts).toHaveLength(8)
    expect(await sweep(swaps(image, starts, length), image)).toMatchObject({ whole: 0, 'left-out': 0 })
  })

  it('stale commits of an older segment behind the end of a killed one are no part of it', async () => {
    const image = await killedImage(fillWithEqualCommits)
    const [first, , last] = image.segments
    const stale = image.files.get(first!)!.subarray(HEADER_BYTES)
    const files = withFile(image.files, last!, Buffer.concat([image.files.get(last!)!, stale]))
    const outcome = await judge(files, image)
    expect(outcome.kind).toBe('whole')
  })
})

describe('a segment', () => {
  it('that is deleted is missed', async () => {
    const image = await closedImage()
    for (const path of image.segments)
      expect(await outcomeOf(withFile(image.files, path, undefined), image)).toBe('WAL_CORRUPT missing')
  })

  it('that is there twice, renamed or exchanged with another is refused', async () => {
    const image = await closedImage()
    const { files, segments } = image
    const [first, second, last] = segments.map(path => [path, files.get(path)!] as const)
    for (const [path, bytes] of [first!, second!, last!]) {
      const next = nameOf(4, image.entries.length + 1)
      expect(await outcomeOf(withFile(files, next, bytes), image)).toBe('WAL_CORRUPT duplicate')
      const renamed = withFile(withFile(files, next, bytes), path, undefined)
      expect(await outcomeOf(renamed, image)).toBe('WAL_CORRUPT duplicate')
    }
    const twice = withFile(files, nameOf(2, 5), second![1])
    expect(await outcomeOf(twice, image)).toBe('WAL_CORRUPT duplicate')
    const exchanged = withFile(withFile(files, first![0], second![1]), second![0], first![1])
    expect(await outcomeOf(exchanged, image)).toBe('WAL_CORRUPT duplicate')
  })

  it('of another log is refused, in the place of one and beside them', async () => {
    const [image, other] = [await closedImage(), await closedImage()]
    for (const [i, path] of image.segments.entries()) {
      const strange = other.files.get(other.segments[i]!)!
      expect(await outcomeOf(withFile(image.files, path, strange), image)).toBe('WAL_CORRUPT foreign')
    }
    const beside = withFile(image.files, nameOf(4, 9), other.files.get(other.segments[0]!)!)
    expect(await outcomeOf(beside, image)).toBe('WAL_CORRUPT foreign')
  })
})

/** The files of a log each time `stages` has closed it, the last ones with all entries. */
async function history(stages: number): Promise<{ older: Files[]; image: Image }> {
  const fs = new SimulatedFileSystem()
  const older: Files[] = []
  let image: Image | undefined
  for (let stage = 0; stage < stages; stage++) {
    const wal = await openWal(directory, { fileSystem: fs, io: 'buffered' })
    await wal.appendBatch([`a${stage}`, `b${stage}`])
    if (stage % 2 === 1) await wal.rotate()
    await wal.append(`c${stage}`)
    const entries = await readAll(wal)
    const infos = wal.segments()
    await wal.close()
    const files = await filesIn(fs)
    older.push(files)
    image = { files, entries, infos, segments: infos.map(({ path }) => path) }
  }
  return { older: older.slice(0, -1), image: image! }
}

describe('older copies of files come back', () => {
  it('one segment of an older state: refused, or it is the same', async () => {
    const { older, image } = await history(5)
    let refused = 0
    for (const files of older)
      for (const path of image.segments) {
        const copy = files.get(path)
        if (copy === undefined) continue
        const outcome = await judge(withFile(image.files, path, copy), image)
        if (copy.equals(image.files.get(path)!)) expect(outcome.kind).toBe('whole')
        else {
          expect(outcome).toMatchObject({ kind: 'refused', error: { code: 'WAL_CORRUPT' } })
          refused++
        }
      }
    expect(refused).toBeGreaterThan(2)
  })

  it('an older manifest or mark: everything is there all the same', async () => {
    const { older, image } = await history(5)
    for (const files of older)
      for (const name of ['manifest', 'mark']) {
        const path = `${directory}/${name}`
        expect(await outcomeOf(withFile(image.files, path, files.get(path)), image)).toBe('whole')
      }
  })

  it('all segments of an older state with the newer manifest or mark: refused', async () => {
    const { older, image } = await history(5)
    for (const files of older)
      for (const name of ['manifest', 'mark']) {
        const path = `${directory}/${name}`
        const mixed = withFile(files, path, image.files.get(path))
        expect(await outcomeOf(mixed, image)).toMatch(/^WAL_CORRUPT/)
      }
  })

  it('a segment that a truncation had removed is not part of the log again', async () => {
    const fs = new SimulatedFileSystem()
    const wal = await openWal(directory, { fileSystem: fs, io: 'buffered' })
    for (let i = 0; i < 3; i++) {
      if (i > 0) await wal.rotate()
      await wal.append(`old ${i}`)
    }
    const before = await filesIn(fs)
    await wal.truncateAfter(1)
    await wal.append('new')
    await wal.truncateBefore(2)
    const entries = await readAll(wal)
    await wal.close()
    const after = await filesIn(fs)
    for (const [path, bytes] of before) {
      if (after.has(path)) continue
      expect(path.endsWith('.wal')).toBe(true)
      expect(await judge(withFile(after, path, bytes), { entries })).toMatchObject({ kind: 'whole' })
    }
  })

  it('a log of another history, with the same ids, is told apart', async () => {
    const { older, image } = await history(3)
    const fork = await restore(older.at(-1)!)
    const wal = await openWal(directory, { fileSystem: fork, io: 'buffered' })
    await wal.append('of the fork')
    await wal.rotate()
    await wal.append('of the fork too')
    await wal.close()
    const forked = await filesIn(fork)
    for (const path of image.segments) {
      const copy = forked.get(path)
      if (copy === undefined || copy.equals(image.files.get(path)!)) continue
      expect(await outcomeOf(withFile(image.files, path, copy), image)).toMatch(/^WAL_CORRUPT/)
    }
  })
})

describe('bytes are added', () => {
  it('zeros behind the end of any segment change nothing', async () => {
    for (const image of [await closedImage(), await killedImage()])
      for (const path of image.segments)
        for (const count of [1, 8, 4096, 100_000]) {
          const bytes = Buffer.concat([image.files.get(path)!, Buffer.alloc(count)])
          expect(await outcomeOf(withFile(image.files, path, bytes), image)).toBe('whole')
        }
  })

  it('random bytes behind the end are left out and reported, and lose nothing', async () => {
    for (const image of [await closedImage(), await killedImage()])
      for (const path of image.segments)
        for (const count of [1, 7, 48, 512, 10_000]) {
          const bytes = Buffer.concat([image.files.get(path)!, noise(count)])
          expect(await outcomeOf(withFile(image.files, path, bytes), image)).toBe('whole')
        }
  })

  it('foreign names are left alone, whatever they look like', async () => {
    const image = await closedImage()
    const names = ['data[1]', 'a\nb', '0000000000000001-0000000000000001.wal.bak', '1-1.wal', '*.wal', 'manifest2', '…']
    const files = new Map(image.files)
    for (const name of names) files.set(`${directory}/${name}`, Buffer.from('mine'))
    const fs = await restore(files)
    const wal = await openWal(directory, { fileSystem: fs })
    expect(await readAll(wal)).toEqual(image.entries)
    await wal.close()
    for (const name of names) expect(String(fs.contents(`${directory}/${name}`))).toBe('mine')
    expect((await verifyWal(directory, { fileSystem: fs })).ok).toBe(true)
  })

  it('what is no file under the name of a segment or of the manifest is refused', async () => {
    const image = await closedImage()
    for (const path of [image.segments[0]!, `${directory}/manifest`]) {
      const fs = await restore(withFile(image.files, path, undefined))
      fs.placeOther(path)
      await expect(openWal(directory, { fileSystem: fs })).rejects.toMatchObject({ code: 'WAL_IO' })
    }
  })
})

describe('slots of the manifest', () => {
  it('one damaged: whole; both: refused, and no file is touched', async () => {
    const image = await closedImage()
    const path = `${directory}/manifest`
    for (const slots of [[0], [1], [0, 1]]) {
      const bytes = Buffer.from(image.files.get(path)!)
      for (const slot of slots) bytes.fill(0xff, slot * 4096 + 100, slot * 4096 + 200)
      const files = withFile(image.files, path, bytes)
      expect(await outcomeOf(files, image)).toBe(slots.length === 1 ? 'whole' : 'WAL_CORRUPT manifest')
      if (slots.length === 1) continue
      const fs = await restore(files)
      await openWal(directory, { fileSystem: fs }).catch(() => undefined)
      expect(withFile(await filesIn(fs), `${directory}/lock`, undefined)).toEqual(
        withFile(files, `${directory}/lock`, undefined),
      )
    }
  })

  it('the older slot of a killed log counts when the newer is torn', async () => {
    const image = await killedImage()
    const path = `${directory}/manifest`
    for (const slot of [0, 1]) {
      const bytes = Buffer.from(image.files.get(path)!)
      bytes.fill(0, slot * 4096 + 512, slot * 4096 + 4096)
      bytes[slot * 4096 + 60]! ^= 0xff
      expect(await outcomeOf(withFile(image.files, path, bytes), image)).toBe('whole')
    }
  })
})

function noise(count: number): Buffer {
  const bytes = Buffer.alloc(count)
  let state = 12345
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    bytes[i] = (state >>> 16) | 1
  }
  return bytes
}
