import type { Scene } from '../scene.js'
import type { Workload } from '../workload.js'

/** Closed in order and opened again, with and without anything written. */
export const reopen: Workload = {
  name: 'reopen',
  startIndex: 7,
  options: () => ({ rotation: { maxEntries: 5 }, startIndex: 7 }),
  async run(scene: Scene): Promise<void> {
    for (let life = 0; life < 4; life++) {
      await scene.open()
      if (life !== 1) scene.append(1 + scene.random.below(4))
      await scene.stir(scene.random.below(3))
      if (life === 2) scene.batch(3)
      if (life % 2 === 0) await scene.pass(15)
      await scene.close()
    }
    await scene.open()
    await scene.readAll()
  },
}
