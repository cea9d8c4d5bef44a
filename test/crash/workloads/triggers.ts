import type { Scene } from '../scene.js'
import type { Workload } from '../workload.js'

/** Segments that end by age and by the user's trigger, in the midst of appends. */
export const triggers: Workload = {
  name: 'triggers',
  options: scene => ({ rotation: { maxAgeMs: 100, trigger: scene.trigger } }),
  async run(scene: Scene): Promise<void> {
    await scene.open()
    for (let round = 0; round < 5; round++) {
      scene.append(2)
      await scene.stir(scene.random.below(4))
      scene.pull()
      scene.batch(2)
      await scene.pass(round === 2 ? 150 : 20)
      if (round === 3) scene.pull()
    }
    await scene.settle()
    await scene.readAll()
  },
}
