import type { Scene } from '../scene.js'
import type { Workload } from '../workload.js'

/** A little of everything in few calls, for what is repeated for each call: failing it, closing and aborting at it. */
export const mixed: Workload = {
  name: 'mixed',
  options: () => ({ rotation: { maxEntries: 6 } }),
  async run(scene: Scene): Promise<void> {
    await scene.open()
    scene.tail()
    scene.append(2, 100)
    await scene.settle()
    scene.batch(3, 600)
    scene.append(1, 40)
    await scene.stir(2)
    scene.append(2, 2000)
    await scene.settle()
    await scene.pass(60)
    scene.rotate()
    scene.transaction(2, 300)
    scene.truncateBefore(scene.first + 2)
    await scene.settle()
    await scene.readAll()
    scene.truncateAfter(scene.last - 1)
    scene.append(1, 10)
    await scene.settle()
    await scene.close()
    await scene.open()
    scene.append(1, 500)
    scene.sync()
    await scene.settle()
  },
}
