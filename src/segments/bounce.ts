import { kernel } from '../codec/kernel.js'

let free: Promise<void> = Promise.resolve()

/**
 * Runs `use` with a megabyte of page-aligned memory, for direct writes of what lies elsewhere. There is one for all logs of the
 * thread: those who want it at the same time get it one after the other.
 */
export function withBounceBuffer<R>(use: (bounce: Buffer) => Promise<R>): Promise<R> {
  if (kernel === undefined) throw new Error('direct I/O needs the memory of the kernel')
  const { bytes } = kernel.bounce
  const result = free.then(() => use(bytes))
  free = result.then(
    () => undefined,
    () => undefined, // Whoever used it has the error.
  )
  return result
}
