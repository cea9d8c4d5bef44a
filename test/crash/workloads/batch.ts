import type { Scene } from '../scene.js'
import type { Workload } from '../workload.js'

/** Batches and transactions between single entries, in commits of their own and shared. */
export const batch: Workload = {
  name: 'batch',
  async run(scene: Scene): Promise<void> {
    await scene.open()
    for (let round = 0; round < 5; round++) {
      scene.append()
      scene.batch(1 + scene.random.below(5))
      await scene.stir(scene.random.below(3))
      scene.transaction(1 + scene.random.below(4))
      if (round % 2 === 0) await scene.settle()
      await scene.pass(20)
    }
    scene.sync()
    await scene.settle()
    await scene.readAll()
  },
}
