import type { Scene } from '../scene.js'
import type { Workload } from '../workload.js'

/** Cuts at both ends and resets, with appends before, beside and after them, over several segments. */
export const truncate: Workload = {
  name: 'truncate',
  options: () => ({ rotation: { maxEntries: 4 } }),
  async run(scene: Scene): Promise<void> {
    await scene.open()
    for (let round = 0; round < 5; round++) {
      scene.append(1 + scene.random.below(4))
      scene.batch(3)
      await scene.stir(scene.random.below(4))
      const { first, last } = scene
      scene.truncateAfter(last - scene.random.below(Math.min(5, last - first + 2)))
      scene.append(scene.random.below(3))
      if (round % 2 === 0) await scene.settle()
      scene.truncateBefore(scene.first + scene.random.below(scene.last - scene.first + 2))
      scene.append()
      if (round === 3) scene.reset(scene.last + 10)
      await scene.pass(30)
    }
    await scene.settle()
    await scene.readAll()
  },
}
