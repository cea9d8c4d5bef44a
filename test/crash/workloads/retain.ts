import type { Scene } from '../scene.js'
import type { Workload } from '../workload.js'

/** Old segments go by number and by age, while others are written and cut. */
export const retain: Workload = {
  name: 'retain',
  floats: true,
  options: () => ({ rotation: { maxEntries: 3 }, retention: { maxSegments: 3, maxAgeMs: 500 } }),
  async run(scene: Scene): Promise<void> {
    await scene.open()
    for (let round = 0; round < 6; round++) {
      scene.append(2)
      scene.batch(2)
      await scene.stir(scene.random.below(4))
      if (round === 3) scene.truncateAfter(scene.last - 1)
      scene.append()
      await scene.settle()
      await scene.pass(200)
    }
    await scene.pass(2000)
    await scene.readAll()
  },
}
