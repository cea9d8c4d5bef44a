import type { Scene } from '../scene.js'
import type { Workload } from '../workload.js'

/** Segments that end by their size, by a call, and one entry that is larger than a segment. */
export const rotate: Workload = {
  name: 'rotate',
  options: () => ({ segmentMaxBytes: 6000 }),
  async run(scene: Scene): Promise<void> {
    await scene.open()
    for (let round = 0; round < 4; round++) {
      scene.append(2, 1500)
      await scene.stir(scene.random.below(3))
      scene.batch(2, 700)
      scene.rotate()
      scene.append()
      if (round === 1) scene.append(1, 9000)
      await scene.settle()
      await scene.pass(30)
    }
    await scene.readAll()
  },
}
