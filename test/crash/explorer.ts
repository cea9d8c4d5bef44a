import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import { Random } from '../../src/file-system/simulation/random.js'
import type { WalOptions } from '../../src/types.js'
import { useRandomBytesOf } from './determinism.js'
import { Oracle } from './oracle.js'
import { formatPath, type Loss, type Shot } from './path.js'
import { DIRECTORY, Scene } from './scene.js'
import { Violation } from './violation.js'
import { POLICIES, type PolicyName, type Workload } from './workload.js'

export interface Course {
  workload: Workload
  policy: PolicyName
  seed: number
}

/** How thoroughly. */
export interface Effort {
  /** Seeds of loss for each power cut of a workload, beside 'nothing survives' and 'all does'. */
  losses: number
  /** Of the calls that the life after a crash makes, one in so many is crashed too. */
  innerEvery: number
}

export interface Failure {
  workload: string
  policy: string
  seed: number
  path: string
  message: string
  stack: string
}

export interface Outcome {
  states: number
  failures: Failure[]
}

/** A disk as a crash left it, and what may be found on it. */
interface Wreck {
  fs: SimulatedFileSystem
  oracle: Oracle
  path: readonly Shot[]
}

const START_INDEX = 1
const DEEPEST = 2
/** One violation is often seen from many states; the first few tell all. */
const MAX_FAILURES = 5

/**
 * Runs a workload once, and at each call that changes or syncs something takes what several kinds of crashes would leave. Each
 * of those states is opened, compared with the oracle, written to, and crashed again, also in the midst of the opening.
 */
export class Explorer {
  readonly #course: Course
  readonly #effort: Effort
  readonly #only: readonly Shot[] | undefined
  readonly #trace: ((line: string) => void) | undefined
  readonly #options: (scene: Scene) => WalOptions
  readonly #outcome: Outcome = { states: 0, failures: [] }

  /** `only`: explores nothing but this path. */
  constructor(course: Course, effort: Effort, only?: readonly Shot[], trace?: (line: string) => void) {
    this.#course = course
    this.#effort = effort
    this.#only = only
    this.#trace = trace
    const { workload, policy } = course
    const { startIndex = START_INDEX } = workload
    this.#options = scene => ({ ...workload.options?.(scene), startIndex, ...POLICIES[policy] })
  }

  async explore(): Promise<Outcome> {
    const restore = useRandomBytesOf(this.#course.seed)
    try {
      const { workload, seed } = this.#course
      const oracle = new Oracle({ firstIndex: workload.startIndex ?? START_INDEX, entries: [] }, workload.floats)
      await this.#live({ fs: new SimulatedFileSystem({ seed }), oracle, path: [] }, scene => workload.run(scene))
    } finally {
      restore()
    }
    return this.#outcome
  }

  /** Runs a life and explores what its crashes leave. */
  async #live(wreck: Wreck, run: (scene: Scene) => Promise<void>): Promise<void> {
    const depth = wreck.path.length
    const seed = mix(this.#course.seed, formatPath(wreck.path))
    const choice = new Random(seed + 2)
    const wrecks: Wreck[] = []
    const look = (scene: Scene) => {
      scene.observe()
      for (const loss of this.#losses(depth, scene.steps, choice)) wrecks.push(crash(scene, wreck.path, loss))
    }
    const { fs, oracle } = wreck
    const parts = { fs, oracle, options: this.#options, seed, onStep: look, slow: depth === 0, trace: this.#trace }
    const scene = new Scene(parts)
    try {
      await run(scene)
      scene.steps++
      scene.observe()
      for (const loss of this.#finalLosses(depth, scene.steps, choice)) wrecks.push(crash(scene, wreck.path, loss))
    } catch (error) {
      this.#note(error, wreck.path)
    }
    for (const next of wrecks) {
      if (this.#outcome.failures.length >= MAX_FAILURES) return
      this.#outcome.states++
      this.#trace?.(`---- ${formatPath(next.path)}`)
      await this.#live(next, scene => relive(scene, next.path))
    }
  }

  /** Which crashes to try at a step of a life at this depth. */
  #losses(depth: number, step: number, choice: Random): Loss[] {
    if (this.#only !== undefined) return this.#wanted(depth, step)
    if (depth === 0) return this.#allLosses(choice)
    if (depth >= DEEPEST || choice.below(this.#effort.innerEvery) > 0) return []
    return [someLoss(choice)]
  }

  /** As `#losses`, for the moment after the last step, when everything was answered. */
  #finalLosses(depth: number, step: number, choice: Random): Loss[] {
    if (this.#only !== undefined) return this.#wanted(depth, step)
    if (depth === 0) return this.#allLosses(choice)
    return depth < DEEPEST ? [someLoss(choice)] : []
  }

  #allLosses(choice: Random): Loss[] {
    const cuts = Array.from({ length: this.#effort.losses }, () => choice.below(1e6) + 2)
    const kinds: Loss[] = [0, 1, ...cuts].map(seed => ({ kind: 'cut', seed }))
    return [...kinds, { kind: 'kill', seed: choice.below(1e6) }, { kind: 'rot', seed: choice.below(1e6) }]
  }

  #wanted(depth: number, step: number): Loss[] {
    const shot = this.#only![depth]
    return shot?.step === step ? [shot.loss] : []
  }

  #note(error: unknown, path: readonly Shot[]): void {
    if (!(error instanceof Violation)) throw error
    const { workload, policy, seed } = this.#course
    const { message, stack = '' } = error
    this.#outcome.failures.push({ workload: workload.name, policy, seed, path: formatPath(path), message, stack })
  }
}

/** What is done with every state: it is opened, written to and changed in some way, and now and then closed in order. */
async function relive(scene: Scene, path: readonly Shot[]): Promise<void> {
  const { loss } = path.at(-1)!
  if (loss.kind === 'rot') await loseWriteBack(scene.fs, loss.seed)
  // A write-back error that nobody was told of yet is told at the next sync, but not over a power cut.
  const lives = path.map(shot => shot.loss.kind)
  await scene.open({ mayFail: lives.lastIndexOf('rot') > lives.lastIndexOf('cut') })
  if (path.length === DEEPEST) return
  scene.append()
  await scene.stir(scene.random.below(3))
  for (const deed of someDeeds(scene.random)) if (scene.wal.status === 'open') await deed(scene)
  await scene.settle()
}

type Deed = (scene: Scene) => void | Promise<void>

const DEEDS: readonly Deed[] = [
  scene => scene.append(2),
  scene => scene.batch(2),
  scene => scene.transaction(2),
  scene => scene.rotate(),
  scene => scene.truncateAfter(scene.last - scene.random.below(Math.min(3, scene.last - scene.first + 2))),
  scene => scene.truncateBefore(scene.first + scene.random.below(Math.min(4, scene.last - scene.first + 2))),
  scene => scene.reset(scene.last + 3),
  scene => scene.pass(60),
  scene => scene.settle(),
  async scene => {
    await scene.close()
    await scene.open()
  },
]

function someDeeds(random: Random): Deed[] {
  return Array.from({ length: random.below(4) }, () => DEEDS[random.below(DEEDS.length)]!)
}

function crash(scene: Scene, path: readonly Shot[], loss: Loss): Wreck {
  const { fs, oracle, steps: step } = scene
  const next = [...path, { step, loss }]
  if (loss.kind === 'cut') return { fs: fs.crashImage(loss), oracle: oracle.afterCut(), path: next }
  return { fs: fs.killImage(loss), oracle: oracle.afterKill(), path: next }
}

/** The process was killed, and the kernel failed to write back what it left: it is seen, and not on disk. */
async function loseWriteBack(fs: SimulatedFileSystem, seed: number): Promise<void> {
  const reported = seed % 2 === 0 ? 'nobody' : 'next-sync'
  const lose = async (path: string): Promise<void> => {
    const kind = (await fs.stat(path))?.kind
    if (kind === 'file') fs.failWriteBack(path, { reported })
    if (kind === 'directory') for (const name of await fs.list(path)) await lose(`${path}/${name}`)
  }
  await lose(DIRECTORY)
}

function someLoss(choice: Random): Loss {
  const kind = (['cut', 'cut', 'cut', 'cut', 'kill', 'rot'] as const)[choice.below(6)]!
  return { kind, seed: choice.below(3) === 0 ? choice.below(2) : choice.below(1e6) }
}

/** A seed for each life, the same in every run. */
function mix(seed: number, text: string): number {
  let hash = seed | 0
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
