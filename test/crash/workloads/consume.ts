import type { Scene } from '../scene.js'
import type { Workload } from '../workload.js'

/** A named consumer that stores how far it is, and goes on from there in the life after. */
export const consume: Workload = {
  name: 'consume',
  options: () => ({ rotation: { maxEntries: 6 } }),
  async run(scene: Scene): Promise<void> {
    await scene.open()
    for (let round = 0; round < 5; round++) {
      scene.append(2)
      scene.batch(2)
      await scene.settle()
      await scene.process()
      await scene.pass(round % 2 === 0 ? 150 : 20)
      if (round === 2) {
        await scene.close()
        await scene.open()
      }
    }
    await scene.settle()
  },
}
