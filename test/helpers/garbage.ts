import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
/** Collects what nobody holds, so that what is measured afterwards is held. */
export const collectGarbage = runInNewContext('gc') as () => void

/** Collects until all of these are gone, or long enough to say that something holds them. Gives how many are left. */
export async function heldOf(references: WeakRef<object>[]): Promise<number> {
  let held = references.length
  for (let round = 0; round < 10 && held > 0; round++) {
    await new Promise(resolve => setImmediate(resolve))
    collectGarbage()
    held = references.filter(reference => reference.deref() !== undefined).length
  }
  return held
}
