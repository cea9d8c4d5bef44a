import type * as NodeStream from 'node:stream'
import readableStream from 'readable-stream'

/**
 * The stream classes everything here is built on: readable-stream's, which behave alike on every runtime and release, typed as
 * Node's own so that users need no further types. This is the one place where the two are taken for each other.
 */
export const { Duplex, Readable, Transform, Writable, finished } = readableStream as unknown as Pick<
  typeof NodeStream,
  'Duplex' | 'Readable' | 'Transform' | 'Writable' | 'finished'
>
