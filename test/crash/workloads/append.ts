import type { Scene } from '../scene.js'
import type { Workload } from '../workload.js'

/** Single entries, awaited and not, that meet in commits, in one segment. */
export const append: Workload = {
  name: 'append',
  async run(scene: Scene): Promise<void> {
    await scene.open()
    scene.append()
    await scene.settle()
    for (let round = 0; round < 6; round++) {
      scene.append(1 + scene.random.below(4))
      await scene.stir(scene.random.below(4))
      scene.append(scene.random.below(3))
      if (round === 2) scene.sync()
      if (round % 2 === 1) await scene.pass(60)
    }
    await scene.settle()
    await scene.readAll()
  },
}
