import { SimulatedFileSystem } from '../../src/file-system/simulated.js'
import type { ArmedFault } from '../../src/file-system/simulation/faults.js'
import { Random } from '../../src/file-system/simulation/random.js'
import { useRandomBytesOf } from './determinism.js'
import type { Course } from './explorer.js'
import { FAULTS, type FaultKind } from './faults.js'
import { Oracle } from './oracle.js'
import { Scene, type SceneParts } from './scene.js'
import { Violation } from './violation.js'
import { POLICIES } from './workload.js'

/** What happens at the nth call. */
export type Mishap = 'run' | 'open' | 'close' | 'abort'

export interface Point {
  mishap: Mishap
  fault: string
  nth: number
  /** Of mishap 'open': the step of the workload whose crash is recovered from. */
  step: number
}

export interface FaultFailure {
  workload: string
  policy: string
  seed: number
  point: Point
  message: string
  stack: string
}

export interface FaultOutcome {
  points: number
  failures: FaultFailure[]
}

type Parts = Pick<SceneParts, 'fs' | 'oracle'> & Partial<SceneParts>

/** No workload makes so many calls that one fails; a loop that gets here would go on for ever. */
const MOST_CALLS = 3000
const MAX_FAILURES = 5
/** How thoroughly. */
export interface FaultEffort {
  /** Every so many calls one is failed. */
  stride: number
  /** How many of a workload's crashes are recovered from with failing calls. */
  wrecks: number
}

/**
 * Repeats a workload, each time with the next call failing, until it passes unfailed; the same for the recovery of what crashes
 * leave; and closes the log, and aborts what is under way, at each step.
 */
export class FaultLoop {
  readonly #course: Course
  readonly #effort: FaultEffort
  readonly #only: Point | undefined
  readonly #trace: ((line: string) => void) | undefined
  readonly #outcome: FaultOutcome = { points: 0, failures: [] }

  constructor(course: Course, effort: FaultEffort, only?: Point, trace?: (line: string) => void) {
    this.#course = course
    this.#effort = effort
    this.#only = only
    this.#trace = trace
  }

  async run(): Promise<FaultOutcome> {
    const faults = FAULTS.filter(({ name }) => this.#only === undefined || this.#only.fault === name)
    for (const kind of faults)
      await this.#loop({ mishap: 'run', fault: kind.name, step: 0 }, nth => this.#fail(kind, nth))
    const steps = await this.#countSteps()
    const { wrecks } = this.#effort
    for (let i = 1; i <= wrecks; i++) {
      const step = this.#only?.step ?? Math.max(1, Math.floor((steps * i) / wrecks) - (this.#course.seed % 7))
      for (const kind of faults)
        await this.#loop({ mishap: 'open', fault: kind.name, step }, nth => this.#failRecovery(kind, nth, step))
    }
    for (const mishap of ['close', 'abort'] as const)
      await this.#loop({ mishap, fault: '', step: 0 }, nth => this.#interrupt(mishap, nth))
    return this.#outcome
  }

  /** Goes on until a try says that nothing happened to it. */
  async #loop(point: Omit<Point, 'nth'>, attempt: (nth: number) => Promise<boolean>): Promise<void> {
    const { failures } = this.#outcome
    const only = this.#only
    if (only !== undefined && (only.mishap !== point.mishap || only.step !== point.step)) return
    const { stride } = this.#effort
    for (let nth = only?.nth ?? 1 + (this.#course.seed % stride); failures.length < MAX_FAILURES; nth += stride) {
      if (nth > MOST_CALLS) throw new Error(`${point.mishap} ${point.fault} comes to no end`)
      if (!(await this.#attempt({ ...point, nth }, attempt)) || only !== undefined) return
    }
  }

  async #attempt(point: Point, attempt: (nth: number) => Promise<boolean>): Promise<boolean> {
    const restore = useRandomBytesOf(this.#course.seed)
    try {
      this.#outcome.points++
      return await attempt(point.nth)
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      const { workload, policy, seed } = this.#course
      const { message, stack = '' } = error
      this.#outcome.failures.push({ workload: workload.name, policy, seed, point, message, stack })
      return true
    } finally {
      restore()
    }
  }

  async #fail({ fault }: FaultKind, nth: number): Promise<boolean> {
    const fs = new SimulatedFileSystem({ seed: this.#course.seed })
    const armed = fs.failNth(nth, fault)
    const scene = this.#scene({ fs, oracle: this.#fresh(), heal: () => fs.clearFaults() })
    if (this.#trace) this.#announce(fs, armed)
    await this.#course.workload.run(scene)
    fs.clearFaults()
    await this.#checkWhatIsLeft(scene, nth)
    return armed.fired > 0
  }

  async #failRecovery({ fault }: FaultKind, nth: number, step: number): Promise<boolean> {
    const wreck = await this.#wreckAt(step)
    const { fs } = wreck
    const armed = fs.failNth(nth, fault)
    const scene = this.#scene({ ...wreck, heal: () => fs.clearFaults() })
    if (this.#trace) this.#announce(fs, armed)
    await scene.open()
    const { fired } = armed
    fs.clearFaults()
    scene.append()
    await scene.settle()
    await this.#checkWhatIsLeft(scene, nth)
    return fired > 0
  }

  /** Says which calls fail. */
  #announce(fs: SimulatedFileSystem, armed: ArmedFault): void {
    const { slow } = fs
    let told = 0
    fs.slow = operation => {
      if (armed.fired > told) this.#trace?.(`fails: ${operation.kind} ${operation.path}`)
      told = armed.fired
      return slow?.(operation)
    }
  }

  async #interrupt(mishap: 'close' | 'abort', nth: number): Promise<boolean> {
    const controller = new AbortController()
    let happened = false
    const onStep = (scene: Scene) => {
      if (scene.steps !== nth) return
      happened = true
      if (mishap === 'abort') controller.abort(new Error('aborted'))
      else if (scene.wal?.status === 'open') scene.closeSoon()
    }
    const fs = new SimulatedFileSystem({ seed: this.#course.seed })
    const scene = this.#scene({ fs, oracle: this.#fresh(), onStep, signal: controller.signal, slow: true })
    await this.#course.workload.run(scene)
    await scene.settle()
    await this.#checkWhatIsLeft(scene, nth)
    return happened
  }

  /** Whatever happened, what was promised is there after a power cut, after a kill, and after a close. */
  async #checkWhatIsLeft(scene: Scene, nth: number): Promise<void> {
    scene.observe()
    const { fs, oracle } = scene
    await this.#check({ fs: fs.crashImage({ seed: 0 }), oracle: oracle.afterCut() })
    if (nth % 2 === 0) await this.#check({ fs: fs.crashImage({ seed: nth }), oracle: oracle.afterCut() })
    else await this.#check({ fs: fs.killImage({ seed: nth }), oracle: oracle.afterKill() })
    await scene.close()
    await scene.open()
    await scene.close()
  }

  async #check(parts: Parts): Promise<void> {
    const scene = this.#scene(parts)
    await scene.open()
    scene.append()
    await scene.settle()
  }

  async #wreckAt(step: number): Promise<Parts> {
    const { seed, workload } = this.#course
    const random = new Random(seed + step)
    let wreck: Parts | undefined
    const onStep = ({ steps, fs, oracle }: Scene) => {
      if (steps !== step) return
      if (random.chance(0.5)) wreck = { fs: fs.crashImage({ seed: random.below(1e6) }), oracle: oracle.afterCut() }
      else wreck = { fs: fs.killImage({ seed: random.below(1e6) }), oracle: oracle.afterKill() }
    }
    const scene = this.#scene({ fs: new SimulatedFileSystem({ seed }), oracle: this.#fresh(), onStep })
    await workload.run(scene)
    return wreck!
  }

  async #countSteps(): Promise<number> {
    const scene = this.#scene({ fs: new SimulatedFileSystem(), oracle: this.#fresh() })
    await this.#course.workload.run(scene)
    return scene.steps
  }

  #fresh(): Oracle {
    const { startIndex = 1, floats } = this.#course.workload
    return new Oracle({ firstIndex: startIndex, entries: [] }, floats)
  }

  #scene(parts: Parts): Scene {
    const { workload, policy, seed } = this.#course
    const options = (scene: Scene) => ({
      ...workload.options?.(scene),
      startIndex: workload.startIndex ?? 1,
      ...POLICIES[policy],
    })
    return new Scene({ seed, options, slow: false, onStep: () => undefined, trace: this.#trace, ...parts })
  }
}
