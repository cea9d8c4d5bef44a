import type { Reply, Request } from './hand-over.js'

/** What of the worker's modules is used. */
interface Surroundings {
  workerData: ArrayBufferLike
  parentPort: {
    on(event: 'message', listener: (request: Request) => void): void
    postMessage(reply: Reply | 'ready'): void
  }
}

type SyncCalls = Record<string, (...args: unknown[]) => unknown>

/**
 * What the writer thread runs, from its source text: it may use nothing but what it is given, so that it needs no file of its own that
 * a bundler could lose, and names no function, which some bundlers wrap in one of theirs. Makes the calls it is sent, blocking, one
 * after the other, by the node:fs of its thread.
 */
export function serve({ workerData, parentPort }: Surroundings, fs: SyncCalls): void {
  const memory = Buffer.from(workerData)
  parentPort.on('message', ({ name, args: [first, ...rest] }) => {
    try {
      const call = fs[`${name}Sync`]!
      const given = name === 'read' || name === 'write' ? call(first, memory, ...rest) : call(first, ...rest)
      // Of a Stats object what crosses to the other side.
      const { mode, size } = Object(given)
      parentPort.postMessage({ value: mode === undefined ? given : { mode, size } })
    } catch (error) {
      const { message, code, errno, syscall, path, dest } = error as NodeJS.ErrnoException & { dest?: string }
      const told = Object.entries({ code, errno, syscall, path, dest }).filter(([, field]) => field !== undefined)
      parentPort.postMessage({ error: { message, ...Object.fromEntries(told) } })
    }
  })
  parentPort.postMessage('ready')
}
