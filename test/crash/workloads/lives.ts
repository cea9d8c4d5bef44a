import type { Scene } from '../scene.js'
import type { Workload } from '../workload.js'

/** Many lives, most of them ended by a crash: what recovery left is rotated, cut and crashed again. */
export const lives: Workload = {
  name: 'lives',
  options: () => ({ segmentMaxBytes: 5000 }),
  async run(scene: Scene): Promise<void> {
    await scene.open()
    for (let life = 0; life < 5; life++) {
      scene.append(1 + scene.random.below(3))
      await scene.stir(scene.random.below(5))
      scene.batch(2)
      if (life === 1) scene.truncateAfter(scene.last - 1)
      if (life === 2) scene.truncateBefore(scene.first + 1)
      if (life === 3) scene.rotate()
      scene.append(1, 700)
      await scene.stir(scene.random.below(8))
      if (life === 3) await scene.close()
      else await scene.crash(life % 2 === 0 ? 'cut' : 'kill')
      await scene.open()
    }
    scene.append()
    await scene.settle()
    await scene.readAll()
  },
}
