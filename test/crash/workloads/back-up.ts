import type { Scene } from '../scene.js'
import type { Workload } from '../workload.js'

/** Backups of a live log, beside appends, a rotation and a truncation. */
export const backUp: Workload = {
  name: 'back-up',
  options: () => ({ rotation: { maxEntries: 4 } }),
  async run(scene: Scene): Promise<void> {
    await scene.open()
    scene.append(3)
    scene.batch(3)
    await scene.settle()
    scene.backup('/first')
    scene.append(2)
    await scene.stir(3)
    scene.batch(2)
    await scene.settle()
    scene.truncateBefore(scene.first + 4)
    scene.append()
    await scene.settle()
    scene.backup('/second')
    scene.rotate()
    scene.append(2)
    await scene.settle()
  },
}
