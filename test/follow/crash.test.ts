import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/clock.js'
import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import { changes } from '../../src/file-system/simulation/operation.js'
import type { File, FileSystem } from '../../src/file-system/types.js'
import { follow } from '../../src/follow.js'
import type { Wal, WalOptions } from '../../src/index.js'
import { openWal } from '../../src/index.js'

type Writer = Wal<Buffer, Uint8Array | string>
type Entries = Map<number, string>

/** Something the writer was asked to remove: entries from `from` on, or below `below`. */
interface Cut {
  from: number
  below: number
}

/** What a follower showed, and how many of the cuts had been done by then. */
interface Sight {
  entries: Entries
  cutsDone: number
}

class Scene {
  readonly fs = new SimulatedFileSystem({ seed: 7 })
  readonly cuts: Cut[] = []
  readonly sights: Sight[] = []
  readonly options: WalOptions
  cutsDone = 0
  wal!: Writer

  constructor(options: WalOptions) {
    this.options = options
  }

  async open(): Promise<void> {
    this.wal = await openWal('/log', { fileSystem: this.fs, ...this.options })
  }

  async reopen(): Promise<void> {
    await this.wal.close()
    await this.open()
  }

  async removing(cut: Partial<Cut>, remove: () => Promise<void>): Promise<void> {
    this.cuts.push({ from: Number.POSITIVE_INFINITY, below: 0, ...cut })
    await remove()
    this.cutsDone++
  }

  /** Holds what is there now against everything that was shown and not meant to go. */
  assertKept(entries: Entries, sights: readonly Sight[], cutsBegun: number): void {
    for (const sight of sights) {
      const cuts = this.cuts.slice(sight.cutsDone, cutsBegun)
      for (const [index, data] of sight.entries) {
        if (cuts.some(cut => index >= cut.from || index < cut.below)) continue
        expect(entries.get(index), `entry ${index}`).toBe(data)
      }
    }
  }
}

const LONG = 'x'.repeat(700)

const workloads: Record<string, { options: WalOptions; run: (scene: Scene) => Promise<void> }> = {
  'appends, batches and rotation': {
    options: { segmentMaxBytes: 8000 },
    async run({ wal }) {
      for (let i = 0; i < 4; i++) await wal.append(`one ${i} ${LONG}`)
      await Promise.all([wal.appendBatch(['a', LONG, 'c']), wal.append('after'), wal.append(LONG)])
      await wal.rotate()
      await wal.append('last')
    },
  },
  'a lazy sync, in lines of text': {
    options: { sync: 'never', format: 'ndjson' },
    async run({ wal }) {
      await wal.append('one')
      await wal.append('two')
      await wal.sync()
      await wal.append('three')
      await wal.rotate()
      await wal.append('four')
      await wal.append('five')
    },
  },
  'truncation at both ends': {
    options: {},
    async run(scene) {
      const { wal } = scene
      for (let i = 1; i <= 6; i++) {
        await wal.append(`entry ${i}`)
        if (i % 2 === 0) await wal.rotate()
      }
      await scene.removing({ below: 4 }, () => wal.truncateBefore(4))
      await scene.removing({ from: 6 }, () => wal.truncateAfter(5))
      await wal.append('other 6')
      await scene.removing({ from: 5 }, () => wal.truncateAfter(4))
      await wal.appendBatch(['yet another 5', 'yet another 6'])
    },
  },
  'closing, reopening, resetting': {
    options: {},
    async run(scene) {
      await scene.wal.append('one')
      await scene.wal.append('two')
      await scene.reopen()
      await scene.wal.append('three')
      await scene.reopen()
      await scene.removing({ from: 1 }, () => scene.wal.reset(10))
      await scene.wal.append('ten')
    },
  },
}

const names = Object.keys(workloads)
const SEEDS = [0, 1, 5, 11]
/** The writer is killed at every so many operations; 1 takes half a minute. */
const STEP = Number(process.env['WALRUS_FOLLOWER_STEP'] ?? 4)

async function contents(wal: { replay(): AsyncIterable<{ index: number; data: unknown }> }): Promise<Entries> {
  const entries: Entries = new Map()
  for await (const { index, data } of wal.replay()) entries.set(index, String(data))
  return entries
}

/** The file system of a process that lives on while another one is killed: its descriptors stay good. */
function outlasting(current: () => SimulatedFileSystem): FileSystem {
  const open = async (path: string): Promise<File> => {
    const using = async <R>(work: (file: File) => Promise<R>) => {
      const file = await current().open(path, 'read')
      return work(file).finally(() => file.close())
    }
    const file = await current().open(path, 'read')
    await file.close()
    return Object.assign(Object.create(file), {
      read: (...call: Parameters<File['read']>) => using(opened => opened.read(...call)),
      size: () => using(opened => opened.size()),
      close: () => Promise.resolve(),
      closeSync: () => undefined,
    })
  }
  return new Proxy({ open } as unknown as FileSystem, {
    get: (own, name) => Reflect.get(own, name) ?? Reflect.get(current(), name)?.bind?.(current()),
  })
}

/** A follower that looks when it is told to, at whatever file system is there by then. */
class Watcher {
  readonly #fs: () => SimulatedFileSystem
  #followed: Awaited<ReturnType<typeof follow>> | undefined

  constructor(fs: () => SimulatedFileSystem) {
    this.#fs = fs
  }

  async look(): Promise<Entries> {
    const fileSystem = outlasting(this.#fs)
    const options = { fileSystem, pollIntervalMs: 3_600_000 }
    this.#followed ??= await follow('/log', options, systemClock).catch(() => undefined)
    if (this.#followed === undefined) return new Map()
    const { log, wal } = this.#followed
    await log.refresh()
    expect(wal.status).toBe('open')
    const entries = await contents(wal)
    expect(entries.size).toBe(wal.lastIndex - wal.firstIndex + 1)
    return entries
  }

  async close(): Promise<void> {
    await this.#followed?.wal.close()
  }
}

/** Calls back before each of the writer's operations takes effect, one at a time. */
function onEveryOperation(fs: SimulatedFileSystem, work: () => Promise<void>): void {
  let busy = false
  fs.slow = operation => {
    if (busy || !changes(operation.kind)) return undefined
    busy = true
    return work().finally(() => {
      busy = false
    })
  }
}

describe('what a follower shows', () => {
  it.each(names)('no recovery takes back after a power cut: %s', async name => {
    const { options, run } = workloads[name] as (typeof workloads)[string]
    const scene = new Scene(options)
    const { fs, sights } = scene
    const watcher = new Watcher(() => fs)
    const images: { image: SimulatedFileSystem; sights: Sight[]; cutsBegun: number }[] = []
    onEveryOperation(fs, async () => {
      const { cutsDone } = scene
      sights.push({ entries: await watcher.look(), cutsDone })
      const state = { sights: sights.slice(-3), cutsBegun: scene.cuts.length }
      for (const seed of SEEDS) images.push({ image: fs.crashImage({ seed }), ...state })
    })
    await scene.open()
    await run(scene)
    fs.slow = undefined
    await scene.wal.close()
    await watcher.close()
    for (const { image, sights: shown, cutsBegun } of images) {
      const wal = shown.some(({ entries }) => entries.size > 0)
        ? await openWal('/log', { fileSystem: image, createIfMissing: false })
        : undefined
      if (wal !== undefined) scene.assertKept(await contents(wal), shown, cutsBegun)
      await wal?.close()
    }
    const most = Math.max(...sights.map(({ entries }) => entries.size))
    console.log(`${name}: ${sights.length} looks, ${images.length} power cuts, up to ${most} entries seen`)
    expect(most).toBeGreaterThan(2)
    expect(images.length).toBeGreaterThan(50)
  })

  it.each(names)('stays while the writer is killed and started again: %s', async name => {
    const { options, run } = workloads[name] as (typeof workloads)[string]
    let kills = 0
    for (let nth = 1, ended = false; !ended; nth += STEP) {
      const scene = new Scene(options)
      let fs = scene.fs
      const watcher = new Watcher(() => fs)
      let operations = 0
      onEveryOperation(scene.fs, async () => {
        if (fs !== scene.fs) return
        scene.sights.push({ entries: await watcher.look(), cutsDone: scene.cutsDone })
        if (++operations === nth) fs = scene.fs.kill({ seed: nth })
      })
      const living = async () => {
        await scene.open()
        await run(scene)
        await scene.wal.close()
      }
      ended = await living().then(
        () => true,
        () => false,
      )
      if (!ended) await goOn(scene, fs, watcher)
      await watcher.close()
      kills++
    }
    console.log(`${name}: ${kills - 1} kills`)
    expect(kills).toBeGreaterThan(30 / STEP)
  })
})

/** The follower looks after the kill, and beside the next writer. */
async function goOn(scene: Scene, fs: SimulatedFileSystem, watcher: Watcher): Promise<void> {
  const check = async () => {
    const entries = await watcher.look()
    if (entries.size > 0) scene.assertKept(entries, scene.sights, scene.cuts.length)
    scene.sights.push({ entries, cutsDone: scene.cutsDone })
  }
  await check()
  const wal = await openWal('/log', { fileSystem: fs })
  await check()
  const index = await wal.append('after the kill')
  await wal.sync()
  await wal.close()
  await check()
  const shown = (scene.sights.at(-1) as Sight).entries
  expect(shown.get(index)).toBe('after the kill')
}
