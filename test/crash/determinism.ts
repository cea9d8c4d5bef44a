import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { Random } from '../../src/file-system/simulation/random.js'

/** Until the returned function is called, `randomBytes` gives the same bytes in every run: a state can then be reached again. */
export function useRandomBytesOf(seed: number): () => void {
  const { randomBytes } = crypto
  const random = new Random(seed ^ 0x5eed)
  const replace = (replacement: typeof randomBytes) => {
    crypto.randomBytes = replacement
    syncBuiltinESMExports()
  }
  replace(((size: number) => Buffer.from(Array.from({ length: size }, () => random.below(256)))) as typeof randomBytes)
  return () => replace(randomBytes)
}
